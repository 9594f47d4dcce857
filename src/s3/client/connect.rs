//! Builds an S3 client from the environment and from command-line options. Finds region and credentials as every AWS
//! tool does.

use std::net::IpAddr;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::{AssumeRoleProvider, AssumeRoleProviderBuilder};
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_s3::config::{Region, StalledStreamProtectionConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_types::service_config::ServiceConfigKey;

use super::config::ClientConfig;
use super::idle_timeout::with_idle_timeout;

/// Attempts per request, including the first: enough if three requests of ten fail. Adaptive retry slows all requests
/// of a client while S3 answers 503 `SlowDown`.
const ATTEMPTS: u32 = 8;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time per attempt in which no byte is sent and no response arrives. Also the grace period of the SDK's
/// stalled-stream protection for response bodies.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Connects with region, credentials and `AWS_ENDPOINT_URL` from the environment; fields set in the configuration take
/// precedence. Uses path style for an endpoint on `localhost` or an IP address, since such a host has no subdomain per
/// bucket. Returns the client and the store that it addresses, as named by [`store_of`].
pub(super) async fn connect(chosen: &ClientConfig) -> (Client, String) {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let http = with_idle_timeout(http);
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .retry_config(RetryConfig::adaptive().with_max_attempts(ATTEMPTS))
        .stalled_stream_protection(stalled_downloads())
        .timeout_config(timeouts);
    let mut region = chosen.region.clone().map(Region::new);
    if let Some(profile) = &chosen.profile {
        if region.is_none() {
            let of_profile = ProfileFileRegionProvider::builder().profile_name(profile).build();
            let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(of_profile);
            region = chain.region().await;
        }
        // For the STS calls of a chain of roles.
        let provider = ProviderConfig::without_region().with_http_client(http).with_region(region.clone());
        let credentials = ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(profile).build();
        loader = loader.profile_name(profile).credentials_provider(credentials);
    }
    if let Some(region) = region {
        loader = loader.region(region);
    }
    let shared = loader.load().await;
    let endpoint = chosen.endpoint.clone().or_else(|| endpoint(&shared));
    let path_style = endpoint.as_ref().is_some_and(|url| needs_path_style(url));
    // The SDK's default token bucket, shared by all clients, is empty after some fifty retries; then every request
    // fails at once.
    let repeats = RetryPartition::custom("karui").token_bucket(TokenBucket::unlimited()).build();
    let mut config = aws_sdk_s3::config::Builder::from(&shared).force_path_style(path_style).retry_partition(repeats);
    if let Some(endpoint) = &chosen.endpoint {
        config = config.endpoint_url(endpoint);
    }
    if let Some(role) = &chosen.role {
        let assumed = AssumeRoleProvider::builder(role).configure(&shared);
        let assumed = chosen.external_id.iter().fold(assumed, AssumeRoleProviderBuilder::external_id);
        config = config.credentials_provider(assumed.build().await);
    }
    let store = store_of(endpoint.as_deref(), shared.region().map_or("", Region::as_ref));
    (Client::from_conf(config.build()), store)
}

/// Uploads are watched by `idle_timeout` instead.
fn stalled_downloads() -> StalledStreamProtectionConfig {
    StalledStreamProtectionConfig::enabled().upload_enabled(false).grace_period(READ_TIMEOUT).build()
}

/// Finds the endpoint as the SDK does: an endpoint for S3 alone takes precedence over the one for all services.
fn endpoint(shared: &SdkConfig) -> Option<String> {
    let key =
        ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
    let of_s3 = shared.service_config().and_then(|config| config.load_config(key));
    of_s3.or_else(|| shared.endpoint_url().map(str::to_owned))
}

/// Names a store independently of how its URL is written: the host, or the partition for AWS, since S3 copies between
/// regions but never between partitions.
fn store_of(url: Option<&str>, region: &str) -> String {
    let of_aws = || format!("AWS {}", partition(region));
    let Some(url) = url.map(str::to_ascii_lowercase) else { return of_aws() };
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", &url));
    let authority = rest.split('/').next().unwrap_or_default();
    let port = if scheme == "http" { ":80" } else { ":443" };
    let authority = authority.strip_suffix(port).unwrap_or(authority);
    if authority.ends_with(".amazonaws.com") || authority.ends_with(".amazonaws.com.cn") {
        return of_aws();
    }
    authority.replace("localhost", "127.0.0.1")
}

/// Partition of a region, as its ARNs name it:
fn partition(region: &str) -> &'static str {
    const OTHERS: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    OTHERS.iter().find(|(begins, _)| region.starts_with(begins)).map_or("aws", |(_, partition)| partition)
}

fn needs_path_style(url: &str) -> bool {
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
    fn store_of_equivalent_urls_is_equal() {
        let of = |url| store_of(Some(url), "eu-west-1");
        for url in ["http://minio:9000", "http://MinIO:9000/", "http://minio:9000//"] {
            assert_eq!(of(url), "minio:9000", "{url}");
        }
        assert_eq!(of("http://localhost:80"), of("http://127.0.0.1/"));
        assert_eq!(of("https://account.r2.example.com:443/x"), "account.r2.example.com");
        assert_eq!(of("https://s3.eu-west-1.amazonaws.com"), store_of(None, "us-east-1"));
    }

    #[test]
    fn store_of_each_partition_differs() {
        let regions = ["", "cn-north-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1"];
        let stores = regions.map(|region| store_of(None, region));
        assert_eq!(stores, ["AWS aws", "AWS aws-cn", "AWS aws-us-gov", "AWS aws-iso-b", "AWS aws-eusc"]);
    }

    #[test]
    fn ip_addresses_and_localhost_use_path_style() {
        for url in ["http://127.0.0.1:9000", "http://localhost:4566/", "http://[::1]:80", "10.0.0.1"] {
            assert!(needs_path_style(url), "{url}");
        }
        for url in ["https://s3.eu-west-1.amazonaws.com", "https://account.r2.example.com:443/x", ""] {
            assert!(!needs_path_style(url), "{url}");
        }
    }
}
