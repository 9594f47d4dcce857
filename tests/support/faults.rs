//! Faults on purpose: "the n-th `UploadPart` finds the connection reset".

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use hyper::http::request::Parts;
use hyper::{Method, Request};
use karui::dev::server::Handler;
use karui::s3::Operation;
use tokio::sync::{Notify, watch};

use super::clock::Clock;
use super::wire::{self, Action};

/// A fault of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An error with this status and this code, and the store sees nothing.
    Error(u16, &'static str),
    /// An error with S3's message, for errors that only the message distinguishes.
    ErrorSaying(u16, &'static str, &'static str),
    /// An error inside a response that started as a success.
    ErrorInside200(&'static str),
    /// A success in so many words, and the store sees nothing.
    Lie(String),
    /// The connection closes, and the store sees nothing.
    Reset,
    /// The store does what is asked, and the connection closes before it can say so.
    AnswerLost,
    /// The answer's body ends after so many bytes.
    Cut(usize),
    /// This byte of the answer's body changes on its way.
    Flip(usize),
    /// The store does not see it before [`Faults::release`].
    Hold,
    /// No answer ever comes.
    Hang,
}

pub const SLOW_DOWN: Fault = Fault::Error(503, "SlowDown");
pub const INTERNAL_ERROR: Fault = Fault::Error(500, "InternalError");

/// A request as it was on the wire.
#[derive(Debug, Clone)]
pub struct Seen {
    pub operation: Option<Operation>,
    pub parts: Parts,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<(Operation, RangeInclusive<usize>, Fault)>,
    seen: Vec<Seen>,
    /// Tags of objects. The folder supports no tags: without this it says so.
    tagging: Option<String>,
    hangs: watch::Sender<usize>,
    held: Arc<Notify>,
    storm: Option<Storm>,
}

/// Throttles requests at random; none more than [`Storm::IN_A_ROW`] times, so that a test is not at the mercy of luck.
#[derive(Debug)]
struct Storm {
    percent: u64,
    state: u64,
    /// Number of consecutive calls, by method and address.
    struck: HashMap<String, u32>,
}

impl Storm {
    const IN_A_ROW: u32 = 5;

    fn strikes(&mut self, parts: &Parts) -> bool {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let struck = self.struck.entry(format!("{} {}", parts.method, parts.uri)).or_default();
        let strikes = self.state % 100 < self.percent && *struck < Self::IN_A_ROW;
        *struck = if strikes { *struck + 1 } else { 0 };
        strikes
    }
}

impl State {
    fn calls(&self, operation: Operation) -> usize {
        self.seen.iter().filter(|seen| seen.operation == Some(operation)).count()
    }

    fn fault(&self, operation: Operation) -> Option<&Fault> {
        let n = self.calls(operation);
        let rule = self.rules.iter().find(|(of, calls, _)| *of == operation && calls.contains(&n));
        rule.map(|(_, _, fault)| fault)
    }
}

/// The faults of one server, and the requests it has seen.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

impl Faults {
    /// The `n`-th call from now on, from 1, fails so.
    pub fn on(&self, operation: Operation, n: usize, fault: Fault) {
        let n = n + self.calls(operation);
        self.0.lock().unwrap().rules.push((operation, n..=n, fault));
    }

    /// Makes all calls fail from now on.
    pub fn always(&self, operation: Operation, fault: Fault) {
        self.0.lock().unwrap().rules.push((operation, 0..=usize::MAX, fault));
    }

    /// So many of a hundred requests are asked to slow down.
    pub fn storm(&self, percent: u64) {
        let storm = Storm { percent, state: 0x2545_f491_4f6c_dd1d, struck: HashMap::new() };
        self.0.lock().unwrap().storm = Some(storm);
    }

    /// Nothing fails any more, and nothing has been seen.
    pub fn clear(&self) {
        let mut state = self.0.lock().unwrap();
        state.storm = None;
        state.rules.clear();
        state.seen.clear();
    }

    /// Nothing has been seen; what fails goes on to.
    pub fn forget_seen(&self) {
        self.0.lock().unwrap().seen.clear();
    }

    /// From now on every object has this one tag.
    pub fn tag_everything(&self, (key, value): (&str, &str)) {
        let tag = format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
        self.0.lock().unwrap().tagging = Some(format!("{XML}<Tagging><TagSet>{tag}</TagSet></Tagging>"));
    }

    /// For a client that is to run out of time where a request hangs.
    pub fn clock(&self) -> Clock {
        Clock(self.0.lock().unwrap().hangs.subscribe())
    }

    /// Lets a request go on that is held, or will be.
    pub fn release(&self) {
        self.0.lock().unwrap().held.notify_one();
    }

    /// How many times the operation was called.
    pub fn calls(&self, operation: Operation) -> usize {
        self.0.lock().unwrap().calls(operation)
    }

    /// All requests of this operation.
    pub fn seen(&self, operation: Operation) -> Vec<Seen> {
        self.0.lock().unwrap().seen.iter().filter(|seen| seen.operation == Some(operation)).cloned().collect()
    }

    /// All requests.
    pub fn all_seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }

    /// A server's handler in which they happen.
    pub fn handler(&self) -> Handler {
        let faults = self.clone();
        Arc::new(move |request, service| {
            let (parts, body) = request.into_parts();
            let action = faults.action(&parts);
            Box::pin(wire::respond(action, Request::from_parts(parts, body), service))
        })
    }

    fn action(&self, parts: &Parts) -> Action {
        let operation = operation_of(parts);
        let mut state = self.0.lock().unwrap();
        state.seen.push(Seen { operation, parts: parts.clone() });
        let Some(operation) = operation else { return Action::Pass };
        let error = |status, code, message| {
            let body = if parts.method == Method::HEAD { String::new() } else { error_document(code, message) };
            Action::Answer { status, body, cut: None }
        };
        if state.storm.as_mut().is_some_and(|storm| storm.strikes(parts)) {
            return error(503, "SlowDown", ON_PURPOSE);
        }
        let tagging = state.tagging.clone().filter(|_| operation == Operation::GetObjectTagging);
        match (state.fault(operation), tagging) {
            (None, None) => Action::Pass,
            (None, Some(body)) => Action::Answer { status: 200, body, cut: None },
            (Some(Fault::Error(status, code)), _) => error(*status, code, ON_PURPOSE),
            (Some(Fault::ErrorSaying(status, code, message)), _) => error(*status, code, message),
            (Some(Fault::ErrorInside200(code)), _) => error(200, code, ON_PURPOSE),
            (Some(Fault::Lie(body)), _) => Action::Answer { status: 200, body: format!("{XML}{body}"), cut: None },
            (Some(Fault::Reset), _) => Action::Drop,
            (Some(Fault::AnswerLost), _) => Action::DropAnswer,
            (Some(Fault::Cut(after)), None) => Action::Cut { after: *after },
            (Some(Fault::Cut(after)), Some(body)) => Action::Answer { status: 200, body, cut: Some(*after) },
            (Some(Fault::Flip(at)), _) => Action::Flip { at: *at },
            (Some(Fault::Hold), _) => Action::Hold(Arc::clone(&state.held)),
            (Some(Fault::Hang), _) => {
                state.hangs.send_modify(|hangs| *hangs += 1);
                Action::Hang
            }
        }
    }
}

const ON_PURPOSE: &str = "on purpose";
const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn error_document(code: &str, message: &str) -> String {
    format!("{XML}<Error><Code>{code}</Code><Message>{message}</Message></Error>")
}

/// Which operation a request asks for; `None` for those that Karui does not use.
fn operation_of(parts: &Parts) -> Option<Operation> {
    let path = parts.uri.path().trim_start_matches('/');
    let key = path.split_once('/').map_or("", |(_, key)| key);
    let query = parts.uri.query().unwrap_or_default();
    let asks = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    if key.is_empty() {
        return match parts.method {
            Method::GET if asks("list-type") => Some(Operation::ListObjectsV2),
            Method::GET if asks("uploads") => Some(Operation::ListMultipartUploads),
            _ => None,
        };
    }
    let copies = parts.headers.contains_key("x-amz-copy-source");
    match parts.method {
        Method::HEAD => Some(Operation::HeadObject),
        Method::GET if asks("tagging") => Some(Operation::GetObjectTagging),
        Method::GET => Some(Operation::GetObject),
        Method::PUT if asks("uploadId") && copies => Some(Operation::UploadPartCopy),
        Method::PUT if asks("uploadId") => Some(Operation::UploadPart),
        Method::PUT if copies => Some(Operation::CopyObject),
        Method::PUT if !asks("tagging") => Some(Operation::PutObject),
        Method::POST if asks("uploads") => Some(Operation::CreateMultipartUpload),
        Method::POST if asks("uploadId") => Some(Operation::CompleteMultipartUpload),
        Method::DELETE if asks("uploadId") => Some(Operation::AbortMultipartUpload),
        Method::DELETE => Some(Operation::DeleteObject),
        _ => None,
    }
}
