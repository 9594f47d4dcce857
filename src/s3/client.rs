//! The client of S3 that the environment asks for: region and credentials as every AWS tool finds them.

use std::net::IpAddr;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// The first attempt and its repeats. Adaptive retry paces all requests of a client while S3 answers 503 `SlowDown`.
const ATTEMPTS: u32 = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// To the first byte of an answer, per attempt. A body that stalls is the SDK's stalled-stream protection's.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Times the read timeout, where S3 may answer only when it has moved gigabytes.
const PATIENCE: u32 = 10;

/// Reads region, credentials and `AWS_ENDPOINT_URL` from the environment. An endpoint on `localhost` or an IP address is
/// spoken to in path style, since it has no host name per bucket.
pub async fn client() -> Client {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build();
    let shared = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::adaptive().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts)
        .load()
        .await;
    let endpoint = std::env::var("AWS_ENDPOINT_URL_S3").ok().or_else(|| shared.endpoint_url().map(str::to_owned));
    let path_style = endpoint.is_some_and(|url| has_no_bucket_hosts(&url));
    let config = aws_sdk_s3::config::Builder::from(&shared).force_path_style(path_style).build();
    Client::from_conf(config)
}

/// The client's timeouts, more patient, for a request during which S3 itself moves an object's bytes: it may send little
/// or nothing until it is done.
pub(super) fn patient(client: &Client) -> aws_sdk_s3::config::Builder {
    let mut timeouts = client.config().timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    let read = client.config().timeout_config().and_then(TimeoutConfig::read_timeout);
    timeouts.set_read_timeout(read.map(|read| read * PATIENCE));
    aws_sdk_s3::config::Builder::new()
        .timeout_config(timeouts.build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

fn has_no_bucket_hosts(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_no_host_per_bucket() {
        for url in ["http://127.0.0.1:9000", "http://localhost:4566/", "http://[::1]:80", "10.0.0.1"] {
            assert!(has_no_bucket_hosts(url), "{url}");
        }
        for url in ["https://s3.eu-west-1.amazonaws.com", "https://account.r2.example.com:443/x", ""] {
            assert!(!has_no_bucket_hosts(url), "{url}");
        }
    }
}
