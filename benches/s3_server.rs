//! The S3 of `karui dev` as a program of its own, so that a client's CPU and memory are the client's alone. Serves the
//! folder it is given; for each line on stdin it prints how many requests of each method came since the last one, and ends
//! with stdin.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, stdin};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use karui::dev::server::{Handler, LocalS3};

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("usage: s3_server FOLDER")?.into();
    let counts = Counts::default();
    let seen = Arc::clone(&counts);
    let count: Handler = Arc::new(move |request, service| {
        *seen.lock().unwrap_or_else(PoisonError::into_inner).entry(request.method().to_string()).or_default() += 1;
        Box::pin(service.call(request))
    });
    let server = LocalS3::start_with(&folder, None, count).await?;
    println!("{}", server.endpoint());
    tokio::task::spawn_blocking(move || {
        for line in stdin().lock().lines() {
            line?;
            let counts = std::mem::take(&mut *counts.lock().unwrap_or_else(PoisonError::into_inner));
            println!("{}", serde_json::to_string(&counts)?);
        }
        Ok::<(), std::io::Error>(())
    })
    .await??;
    server.stop().await;
    Ok(())
}
