//! The command `karui dev`: its arguments, and what it runs.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{DevError, DevServer, demo};
use crate::cli::interrupted;

/// Run S3 and the function on this machine: put an image into one bucket, and its optimized copy appears in the other
#[derive(Debug, Clone, clap::Args)]
pub struct DevArgs {
    /// Folder for buckets and logs [default: karui-dev in the folder for temporary files]
    #[arg(long, value_name = "DIR", conflicts_with = "demo")]
    dir: Option<PathBuf>,
    /// Port of S3 on 127.0.0.1 [default: a free one]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Port on 127.0.0.1 that cargo lambda invoke sends events to [default: a free one]
    #[arg(long, value_name = "PORT")]
    invoke_port: Option<u16>,
    /// Send the sample images of this folder through the function, check the results, and exit
    #[arg(long, value_name = "SAMPLES", requires = "out")]
    demo: Option<PathBuf>,
    /// Folder for the demo's buckets; emptied first if an earlier demo created it
    #[arg(long, value_name = "DIR", requires = "demo")]
    out: Option<PathBuf>,
}

/// Runs `karui dev`. Returns 0 after Ctrl-C, or if the demo succeeded.
#[must_use]
pub fn run(args: DevArgs) -> ExitCode {
    let ended = tokio::runtime::Runtime::new()
        .map_err(|error| DevError::Io { what: "tokio".into(), error })
        .and_then(|runtime| runtime.block_on(serve(args)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: DevArgs) -> Result<(), DevError> {
    let root = match (&args.demo, &args.out, &args.dir) {
        (Some(samples), Some(out), _) => {
            demo::check_samples(samples)?;
            demo::claim(out)?;
            out.clone()
        }
        (.., Some(dir)) => dir.clone(),
        (..) => std::env::temp_dir().join("karui-dev"),
    };
    let mut server = DevServer::start(root.clone(), args.port, args.invoke_port).await?;
    let work = async {
        match &args.demo {
            Some(samples) => demo::run(&mut server, samples, &root).await,
            None => server.watch().await,
        }
    };
    let ended = tokio::select! {
        ended = work => ended,
        () = interrupted() => if args.demo.is_some() { Err(DevError::Interrupted) } else { Ok(()) },
    };
    server.stop().await;
    ended
}
