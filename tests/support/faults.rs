//! Faults on purpose: "the n-th `UploadPart` finds the connection reset".

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use hyper::Method;
use hyper::http::request::Parts;
use karui::dev::server::Action;
use karui::s3::Operation;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An error with this status and this code, and the store sees nothing.
    Error(u16, &'static str),
    /// The same in S3's own words, where only they tell what is meant.
    ErrorSaying(u16, &'static str, &'static str),
    /// The same inside an answer that began as a success.
    ErrorInside200(&'static str),
    /// The connection closes, and the store sees nothing.
    Reset,
    /// The store does what is asked, and the connection closes before it can say so.
    AnswerLost,
    /// The answer's body ends after so many bytes.
    Cut(usize),
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

    /// All calls from now on fail so.
    pub fn always(&self, operation: Operation, fault: Fault) {
        self.0.lock().unwrap().rules.push((operation, 0..=usize::MAX, fault));
    }

    /// Nothing fails any more, and nothing has been seen.
    pub fn clear(&self) {
        *self.0.lock().unwrap() = State::default();
    }

    /// How many times the operation was called.
    pub fn calls(&self, operation: Operation) -> usize {
        self.0.lock().unwrap().seen.iter().filter(|seen| seen.operation == Some(operation)).count()
    }

    /// All requests of this operation.
    pub fn seen(&self, operation: Operation) -> Vec<Seen> {
        self.0.lock().unwrap().seen.iter().filter(|seen| seen.operation == Some(operation)).cloned().collect()
    }

    /// All requests.
    pub fn all_seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }

    pub fn interposer(&self) -> impl Fn(&Parts) -> Action + Send + Sync + use<> {
        let faults = self.clone();
        move |parts| faults.judge(parts)
    }

    fn judge(&self, parts: &Parts) -> Action {
        let operation = operation_of(parts);
        self.0.lock().unwrap().seen.push(Seen { operation, parts: parts.clone() });
        let Some(operation) = operation else { return Action::Pass };
        let n = self.calls(operation);
        let state = self.0.lock().unwrap();
        let rule = state.rules.iter().find(|(of, calls, _)| *of == operation && calls.contains(&n));
        match rule.map(|(_, _, fault)| fault) {
            None => Action::Pass,
            Some(Fault::Error(status, _) | Fault::ErrorSaying(status, ..)) if parts.method == Method::HEAD => {
                Action::Answer { status: *status, body: String::new() }
            }
            Some(Fault::Error(status, code)) => {
                Action::Answer { status: *status, body: error_document(code, ON_PURPOSE) }
            }
            Some(Fault::ErrorSaying(status, code, message)) => {
                Action::Answer { status: *status, body: error_document(code, message) }
            }
            Some(Fault::ErrorInside200(code)) => Action::Answer { status: 200, body: error_document(code, ON_PURPOSE) },
            Some(Fault::Reset) => Action::Drop,
            Some(Fault::AnswerLost) => Action::DropAnswer,
            Some(Fault::Cut(after)) => Action::Cut { after: *after },
            Some(Fault::Hang) => Action::Hang,
        }
    }
}

const ON_PURPOSE: &str = "on purpose";

fn error_document(code: &str, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
}

/// Which operation a request asks for; `None` for those that Karui does not use.
fn operation_of(parts: &Parts) -> Option<Operation> {
    let (_, key) = parts.uri.path().trim_start_matches('/').split_once('/')?;
    if key.is_empty() {
        return None;
    }
    let query = parts.uri.query().unwrap_or_default();
    let asks = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
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
        _ => None,
    }
}
