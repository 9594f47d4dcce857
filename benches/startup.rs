//! How long the function takes from exec to its first request for work, and how much memory and room, beside a bare
//! `lambda_runtime` function built with the same profile. The two are started in turn, so that both see the same machine.
//!
//! `make bench-startup` builds both and runs this. `cargo bench --bench startup -- OPTIMIZER [BARE]` measures other
//! files, such as the static one that `make build` leaves in `target/lambda`.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const WARM_UPS: usize = 3;
const RUNS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);

/// Limits and targets: multiples of the bare function's start, and bytes of the zipped file.
const RATIO: Bar = Bar { want: 1.5, aim: 1.2 };
const ZIPPED: Bar = Bar { want: 7e6, aim: 5e6 };

struct Bar {
    want: f64,
    aim: f64,
}

impl Bar {
    fn verdict(&self, got: f64) -> &'static str {
        match got {
            _ if got <= self.aim => "aim met",
            _ if got <= self.want => "bar met, aim missed",
            _ => "BAR MISSED",
        }
    }
}

/// A function's file and what was seen of it, the quickest start first once it is sorted.
struct Program {
    name: &'static str,
    path: PathBuf,
    starts: Vec<Start>,
}

/// One start: the time to the first request for work, and the memory then.
struct Start {
    time: Duration,
    resident: u64,
}

fn main() {
    // Cargo itself passes `--bench`.
    let mut paths = std::env::args_os().skip(1).filter(|arg| arg != "--bench");
    let mut programs = [
        Program::new("optimizer", paths.next(), Path::new(env!("CARGO_BIN_EXE_optimizer"))),
        Program::new("bare", paths.next(), &Path::new(env!("CARGO_BIN_EXE_optimizer")).with_file_name("examples/bare")),
    ];
    for run in 0..WARM_UPS + RUNS {
        for program in &mut programs {
            let start = start(&program.path);
            if run >= WARM_UPS {
                program.starts.push(start);
            }
        }
    }
    report(&mut programs);
}

impl Program {
    fn new(name: &'static str, given: Option<OsString>, built: &Path) -> Self {
        let path = given.map_or_else(|| built.to_owned(), PathBuf::from);
        let path = path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name, path, starts: Vec::new() }
    }
}

/// Starts a function as Lambda does, and ends it once it has asked for work.
fn start(path: &Path) -> Start {
    let api = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = api.local_addr().expect("an address").to_string();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(asked_for_work(&api)));
    let mut command = as_in_lambda(path, &address);
    let begin = Instant::now();
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let asked = receiver.recv_timeout(PATIENCE);
    let resident = resident(&child);
    child.kill().and_then(|()| child.wait()).expect("a child of ours ends");
    let (asked, _connection) = asked.unwrap_or_else(|_| panic!("{}: no request within {PATIENCE:?}", path.display()));
    Start { time: asked - begin, resident }
}

/// When a request for work arrived: a function without faults makes no other first. The connection has to outlive it.
fn asked_for_work(api: &TcpListener) -> (Instant, BufReader<TcpStream>) {
    let (connection, _) = api.accept().expect("a connection");
    let mut connection = BufReader::new(connection);
    let mut line = String::new();
    connection.read_line(&mut line).expect("a request");
    let now = Instant::now();
    assert!(line.starts_with("GET /2018-06-01/runtime/invocation/next "), "instead of asking for work: {line}");
    (now, connection)
}

/// The environment that Lambda sets, and the one variable that Karui requires.
fn as_in_lambda(path: &Path, api: &str) -> Command {
    let mut command = Command::new(path);
    command.env_clear().stdin(Stdio::null()).envs([
        ("AWS_LAMBDA_RUNTIME_API", api),
        ("AWS_LAMBDA_FUNCTION_NAME", "karui"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/karui"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "startup"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "none"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
        ("AWS_SESSION_TOKEN", "none"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("TZ", ":UTC"),
        ("KARUI_DESTINATION_BUCKET", "lighter-images"),
    ]);
    command
}

/// Bytes of a process in memory.
fn resident(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB")?.trim().parse().ok());
    kib.map_or(0, |kib: u64| kib << 10)
}

/// Size of a Lambda package of this file: deflate at its highest level, as in zip.
fn zipped(file: &[u8]) -> f64 {
    miniz_oxide::deflate::compress_to_vec(file, 9).len() as f64
}

fn report(programs: &mut [Program; 2]) {
    println!("exec to the first /next, {RUNS} starts of each in turn after {WARM_UPS} not counted\n");
    println!("{:<10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}", "", "min", "median", "max", "memory", "file", "zipped");
    let figures = programs.each_mut().map(|program| {
        program.starts.sort_by_key(|start| start.time);
        let millis = |nth: usize| program.starts[nth].time.as_secs_f64() * 1e3;
        let median = millis(RUNS / 2);
        let file = fs::read(&program.path).expect("a file that just ran");
        let zipped = zipped(&file);
        let resident = program.starts[RUNS / 2].resident as f64 / 1e6;
        println!(
            "{:<10} {:>6.2} ms {median:>6.2} ms {:>6.2} ms {resident:>6.2} MB {:>6.2} MB {:>6.2} MB",
            program.name,
            millis(0),
            millis(RUNS - 1),
            file.len() as f64 / 1e6,
            zipped / 1e6,
        );
        (median, zipped)
    });
    let [(ours, zipped), (bare, _)] = figures;
    let ratio = ours / bare;
    println!(
        "\nstart   {ratio:.2} of the bare one's median (bar {}, aim {}): {}",
        RATIO.want,
        RATIO.aim,
        RATIO.verdict(ratio)
    );
    println!(
        "zipped  {:.2} MB (bar {} MB, aim {} MB): {}",
        zipped / 1e6,
        ZIPPED.want / 1e6,
        ZIPPED.aim / 1e6,
        ZIPPED.verdict(zipped),
    );
}
