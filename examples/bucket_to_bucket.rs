//! Optimizes the images of a bucket into another one, with the AWS SDK and nothing of Karui but the engine.
//!
//! It shows how to call the engine from an S3 program of your own. It keeps neither tags nor metadata, and holds each
//! object in memory: to move real buckets, use `karui sync --optimize`.
//!
//! ```sh
//! cargo run --example bucket_to_bucket -- source destination
//! ```

use std::error::Error;

use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use bytes::Bytes;
use karui::optimize::{Budget, Format, Options, Outcome, optimize};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bucket_to_bucket FROM TO".into());
    };
    let client = connect().await;
    let mut pages = client.list_objects_v2().bucket(&from).into_paginator().send();
    while let Some(page) = pages.next().await {
        for key in page?.contents().iter().filter_map(|object| object.key()) {
            copy(&client, &from, &to, key).await?;
        }
    }
    Ok(())
}

/// A client with the credentials and the endpoint of the environment.
async fn connect() -> Client {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let shared = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    // Stores other than AWS seldom have a host name for each bucket.
    let path_style = std::env::var_os("AWS_ENDPOINT_URL").is_some();
    Client::from_conf(aws_sdk_s3::config::Builder::from(&shared).force_path_style(path_style).build())
}

async fn copy(client: &Client, from: &str, to: &str, key: &str) -> Result<(), Box<dyn Error>> {
    let object = client.get_object().bucket(from).key(key).send().await?;
    let source = object.body.collect().await?.into_bytes();
    let content_type = Format::sniff(&source).map(Format::mime).map(Into::into).or(object.content_type);
    let read = source.len();
    // The engine computes for a while: not on a thread that other requests wait for.
    let body = tokio::task::spawn_blocking(move || smaller(source)).await?;
    println!("{key}: {read} -> {} bytes", body.len());
    client.put_object().bucket(to).key(key).set_content_type(content_type).body(body.into()).send().await?;
    Ok(())
}

/// The smaller file, or the source if that is best left as it is.
fn smaller(source: Bytes) -> Bytes {
    match optimize(&source, &Options::default(), Budget::UNLIMITED) {
        Ok(Outcome::Optimized(encoded)) => encoded.bytes.into(),
        Ok(Outcome::Unchanged(_)) | Err(_) => source,
    }
}
