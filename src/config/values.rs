//! Parsers of values, as text gives them. Each returns `None` for a value that it does not accept.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;

pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}

pub(super) fn number(text: &str, range: RangeInclusive<u64>) -> Option<u64> {
    text.parse().ok().filter(|n| range.contains(n))
}

pub(super) fn count(text: &str) -> Option<u32> {
    number(text, 1..=u32::MAX.into())?.try_into().ok()
}

pub(super) fn percentage(text: &str) -> Option<f64> {
    text.parse().ok().filter(|percent| (0.0..100.0).contains(percent))
}

pub(super) fn size(text: &str, range: RangeInclusive<u64>) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim_start() {
        "" | "B" => 1,
        "KiB" => KIB,
        "MiB" => MIB,
        "GiB" => GIB,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| range.contains(bytes))
}

pub(super) fn prefix(text: &str) -> Option<String> {
    (text.len() <= 512).then(|| text.to_string())
}

pub(super) fn account(text: &str) -> Option<String> {
    (text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.to_string())
}

/// Requires the whole ARN: a bare key ID would be looked up in the function's own account.
pub(super) fn kms_key(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "kms", region, owner, key] = parts[..] else { return None };
    let valid = partition.starts_with("aws")
        && !region.is_empty()
        && account(owner).is_some()
        && key.strip_prefix("key/").is_some_and(|id| !id.is_empty() && !text.contains(char::is_whitespace));
    valid.then(|| text.to_string())
}

pub(super) fn role(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", owner, role] = parts[..] else { return None };
    let valid = partition.starts_with("aws")
        && account(owner).is_some()
        && role.strip_prefix("role/").is_some_and(|name| !name.is_empty() && !text.contains(char::is_whitespace));
    valid.then(|| text.to_string())
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub(super) fn external_id(text: &str) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b);
    ((2..=1224).contains(&text.len()) && text.bytes().all(allowed)).then(|| text.to_string())
}

pub(super) fn region(text: &str) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (text.contains('-') && text.bytes().all(allowed)).then(|| text.to_string())
}

pub(super) fn header(text: &str) -> Option<String> {
    (text.len() <= 512 && text.bytes().all(|b| (b' '..=b'~').contains(&b))).then(|| text.to_string())
}

pub(super) fn word(text: &str, words: &[&str]) -> Option<String> {
    words.contains(&text).then(|| text.to_string())
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub(super) fn bucket(text: &str) -> Option<String> {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    let valid = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
        && edge(bytes.first())
        && edge(bytes.last())
        && !text.contains("..")
        && text.parse::<Ipv4Addr>().is_err();
    valid.then(|| text.to_string())
}
