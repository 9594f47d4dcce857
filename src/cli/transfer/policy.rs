//! `karui policy`: prints the minimal policies of both sides, built from [`Operation::iam_actions`]. Sends nothing.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use serde_json::{Value, json};

use crate::pipeline::Location;
use crate::s3::{Caller, IamAction, ObjectRef, Operation, Scope, Side};

/// Print the bucket policies that let a principal copy from one bucket to another
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_long_help = "Prints one JSON object: the policies of both buckets, the policy that the principal's own account \
must attach to it (between accounts both are needed), and with --source-key or --destination-key the statement for that \
key's policy. Merge a printed policy with the bucket's existing one: `aws s3api put-bucket-policy` replaces the whole policy."
)]
pub struct PolicyArgs {
    #[arg(long, value_name = "S3", help = "The bucket that is read from: s3://bucket or s3://bucket/prefix")]
    source: String,
    /// The bucket that is written to
    #[arg(long, value_name = "S3")]
    destination: String,
    /// The principal that copies: an account ID of 12 digits, or the ARN of a role or user; may be repeated
    #[arg(long, required = true, value_name = "ID|ARN")]
    principal: Vec<String>,
    /// What the policies are for
    #[arg(long = "for", value_enum, default_value_t = Purpose::Sync, value_name = "WHAT")]
    purpose: Purpose,
    /// Images are optimized (`--optimize`; the function always does)
    #[arg(long)]
    optimize: bool,
    /// Also allow `karui sync --delete`
    #[arg(long)]
    delete: bool,
    /// Also allow copying tags
    #[arg(long)]
    tags: bool,
    /// ARN of the KMS key of the source's objects
    #[arg(long, value_name = "ARN")]
    source_key: Option<String>,
    /// ARN of the KMS key that encrypts the results
    #[arg(long, value_name = "ARN")]
    destination_key: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Purpose {
    /// `karui cp` of objects by their names
    Cp,
    /// `karui sync` and `karui cp --recursive`
    Sync,
    /// The Lambda function
    Function,
}

/// Prints the policies on stdout.
///
/// # Errors
/// Names the invalid bucket, principal or key.
pub fn print(args: &PolicyArgs) -> Result<(), String> {
    let policies = policies(args)?;
    println!("{policies:#}");
    Ok(())
}

fn policies(args: &PolicyArgs) -> Result<Value, String> {
    let (source, destination) = (bucket(&args.source)?, bucket(&args.destination)?);
    let principals = args.principal.iter().map(|text| Principal::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let partition = principals[0].partition.clone();
    for key in [&args.source_key, &args.destination_key].into_iter().flatten() {
        if !(key.starts_with("arn:") && key.contains(":kms:") && key.contains(":key/")) {
            return Err(format!(
                "{key}: want a key's ARN, arn:aws:kms:REGION:ACCOUNT:key/ID; aliases do not reach across accounts"
            ));
        }
    }
    if args.delete && args.purpose != Purpose::Sync {
        return Err("--delete needs --for sync: leave it out, or use --for sync".into());
    }
    let needed = needed(args);
    let side = |side, place: &ObjectRef| statements(&needed, args.purpose == Purpose::Sync, side, place, &partition);
    let (reads, writes) = (side(Side::Source, &source), side(Side::Destination, &destination));
    let who = principals.iter().map(|principal| principal.arn.as_str()).collect::<Vec<_>>();
    let keys =
        [(&args.source_key, "KaruiDecrypts", &KEY_READ[..]), (&args.destination_key, "KaruiEncrypts", &KEY_WRITE)];
    let of_keys = keys.iter().filter_map(|(key, sid, actions)| {
        Some(json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": key.as_ref()? }))
    });
    let key_policy = |key: &Option<String>, sid: &str, actions: &[&str]| {
        // In a key policy, * means this key.
        let statement = json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": "*" });
        key.as_ref().map(|key| json!({ "key": key, "statement": with_principal(statement, &who) }))
    };
    let bucket_policy = |place: &ObjectRef, statements: &[Value]| {
        let statements = statements.iter().map(|statement| with_principal(statement.clone(), &who));
        json!({ "bucket": place.bucket, "policy": document(statements) })
    };
    Ok(json!({
        "source": bucket_policy(&source, &reads),
        "destination": bucket_policy(&destination, &writes),
        "principal": { "principals": who, "policy": document(reads.iter().chain(&writes).cloned().chain(of_keys)) },
        "source_key": key_policy(&args.source_key, "KaruiDecrypts", &KEY_READ),
        "destination_key": key_policy(&args.destination_key, "KaruiEncrypts", &KEY_WRITE),
    }))
}

const KEY_READ: [&str; 1] = ["kms:Decrypt"];
/// A multipart upload reads what it has written.
const KEY_WRITE: [&str; 2] = ["kms:GenerateDataKey", "kms:Decrypt"];

/// Returns the actions that a purpose needs, each on the bucket of its side.
fn needed(args: &PolicyArgs) -> Vec<IamAction> {
    let lists = args.purpose == Purpose::Sync;
    let optimizes = args.optimize || args.purpose == Purpose::Function;
    let mut actions: Vec<IamAction> = Vec::new();
    let sent = Operation::sent_by(Caller::Function).filter(|operation| *operation != Operation::HeadObject);
    actions.extend(sent.flat_map(Operation::iam_actions).filter(|action| args.tags || !action.for_tags));
    if optimizes {
        // HEAD reads the destination's marker. The bucket's actions distinguish missing from forbidden keys.
        let sees = |action: &&IamAction| args.purpose != Purpose::Cp || action.scope == Scope::Objects;
        actions.extend(Operation::HeadObject.iam_actions().iter().filter(sees));
    }
    if lists {
        let both = [Side::Source, Side::Destination];
        actions.extend(
            Operation::ListObjectsV2
                .iam_actions()
                .iter()
                .flat_map(|action| both.map(|side| IamAction { side, ..*action })),
        );
    }
    if args.delete {
        actions.extend(Operation::DeleteObject.iam_actions());
    }
    actions
}

/// Returns one statement on the objects, and one on the bucket if it is needed.
fn statements(needed: &[IamAction], lists: bool, side: Side, place: &ObjectRef, partition: &str) -> Vec<Value> {
    let actions = |scope| {
        let actions = needed.iter().filter(|action| action.side == side && action.scope == scope);
        actions.map(|action| action.action).collect::<BTreeSet<_>>()
    };
    let verb = match side {
        Side::Source => "KaruiReads",
        Side::Destination => "KaruiWrites",
    };
    let arn = format!("arn:{partition}:s3:::{}", place.bucket);
    let mut statements = vec![json!({
        "Sid": verb,
        "Effect": "Allow",
        "Action": actions(Scope::Objects),
        "Resource": format!("{arn}/{}*", literal(&place.key)),
    })];
    let of_bucket = actions(Scope::Bucket);
    if !of_bucket.is_empty() {
        let sid = if side == Side::Source { "KaruiListsSource" } else { "KaruiListsDestination" };
        let mut statement = json!({ "Sid": sid, "Effect": "Allow", "Action": of_bucket, "Resource": arn });
        // HEAD sends no prefix: with a permission bound to a prefix, it could not tell missing from forbidden keys.
        if lists && !place.key.is_empty() {
            statement["Condition"] = json!({ "StringLike": { "s3:prefix": format!("{}*", literal(&place.key)) } });
        }
        statements.push(statement);
    }
    statements
}

/// Escapes `*`, `?` and `$`, which policies take for wildcards and variables:
fn literal(key: &str) -> String {
    let escaped = |character| match character {
        '*' | '?' | '$' => format!("${{{character}}}"),
        _ => String::from(character),
    };
    key.chars().map(escaped).collect()
}

fn with_principal(mut statement: Value, who: &[&str]) -> Value {
    statement["Principal"] = json!({ "AWS": who });
    statement
}

fn document(statements: impl Iterator<Item = Value>) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
}

struct Principal {
    arn: String,
    partition: String,
}

impl Principal {
    fn parse(text: &str) -> Result<Self, String> {
        if is_account(text) {
            return Ok(Self { arn: format!("arn:aws:iam::{text}:root"), partition: "aws".into() });
        }
        let parts: Vec<_> = text.split(':').collect();
        match parts[..] {
            ["arn", partition, "iam", "", account, who] if is_account(account) && is_principal(who) => {
                Ok(Self { arn: text.into(), partition: partition.into() })
            }
            _ => Err(format!(
                "{text}: want an account ID of 12 digits or the ARN of a role or user, arn:aws:iam::ACCOUNT:role/NAME"
            )),
        }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A group is no principal, and no bucket policy accepts a wildcard in one.
fn is_principal(who: &str) -> bool {
    let named = |path: &str| !path.ends_with('/') && !path.contains(['*', '?']);
    who == "root"
        || who.strip_prefix("role/").or(who.strip_prefix("user/")).is_some_and(|path| !path.is_empty() && named(path))
}

/// Takes a prefix as a folder: `photos` would also match `photos-of-others`.
fn bucket(address: &str) -> Result<ObjectRef, String> {
    match Location::parse(OsStr::new(address))?.root() {
        Location::S3(place) => Ok(place),
        Location::Local(_) | Location::Stream => Err(format!("{address}: want s3://bucket or s3://bucket/prefix")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: PolicyArgs,
    }

    fn printed(line: &str) -> Result<Value, String> {
        let sides = "karui --source s3://a-photos --destination s3://b-light/small";
        let words = sides.split(' ').chain(line.split_whitespace());
        policies(&Program::try_parse_from(words).map_err(|e| e.to_string())?.args)
    }

    fn actions(statement: &Value) -> Vec<&str> {
        statement["Action"].as_array().unwrap().iter().map(|action| action.as_str().unwrap()).collect()
    }

    #[test]
    fn policy_for_cp_needs_only_get_object() {
        let printed = printed("--principal 222222222222 --for cp").unwrap();
        let read = printed["source"]["policy"]["Statement"].as_array().unwrap();
        assert_eq!((read.len(), actions(&read[0])), (1, vec!["s3:GetObject"]));
        assert_eq!(read[0]["Resource"], "arn:aws:s3:::a-photos/*");
        assert_eq!(read[0]["Principal"]["AWS"], json!(["arn:aws:iam::222222222222:root"]));
        let write = printed["destination"]["policy"]["Statement"].as_array().unwrap();
        assert_eq!((write.len(), actions(&write[0])), (1, vec!["s3:AbortMultipartUpload", "s3:PutObject"]));
        assert_eq!(write[0]["Resource"], "arn:aws:s3:::b-light/small/*");
        assert_eq!(printed["source_key"], Value::Null);
    }

    #[test]
    fn policy_for_sync_lists_within_prefixes() {
        let printed = printed("--principal arn:aws:iam::222222222222:role/x --tags --delete").unwrap();
        let write = &printed["destination"]["policy"]["Statement"];
        let objects = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject", "s3:PutObjectTagging"];
        assert_eq!(actions(&write[0]), objects);
        assert_eq!(actions(&write[1]), ["s3:ListBucket"]);
        assert_eq!(write[1]["Resource"], "arn:aws:s3:::b-light");
        assert_eq!(write[1]["Condition"]["StringLike"]["s3:prefix"], "small/*");
        let read = &printed["source"]["policy"]["Statement"];
        assert_eq!(actions(&read[0]), ["s3:GetObject", "s3:GetObjectTagging"]);
        assert_eq!(read[1].get("Condition"), None);
        let own = printed["principal"]["policy"]["Statement"].as_array().unwrap();
        assert_eq!(own.len(), 4);
        assert!(own.iter().all(|statement| statement.get("Principal").is_none()));
        let sids: BTreeSet<_> = own.iter().map(|statement| statement["Sid"].as_str().unwrap()).collect();
        assert_eq!(sids.len(), 4, "IAM wants each Sid once: {sids:?}");
    }

    #[test]
    fn policy_for_function_reads_the_destination() {
        let printed = printed("--principal 222222222222 --for function --tags").unwrap();
        let objects = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject", "s3:PutObjectTagging"];
        assert_eq!(actions(&printed["destination"]["policy"]["Statement"][0]), objects);
        assert_eq!(actions(&printed["source"]["policy"]["Statement"][1]), ["s3:ListBucket"]);
        assert_eq!(printed["destination"]["policy"]["Statement"][1].get("Condition"), None, "a HEAD has no prefix");
    }

    #[test]
    fn literal_escapes_wildcards() {
        assert_eq!(literal("we*ird${aws:x}?/"), "we${*}ird${$}{aws:x}${?}/");
    }

    #[test]
    fn policy_with_kms_keys_has_key_statements() {
        let key = "arn:aws-cn:kms:cn-north-1:222222222222:key/1234abcd";
        let line =
            format!("--principal arn:aws-cn:iam::222222222222:role/x --source-key {key} --destination-key {key}");
        let printed = printed(&line).unwrap();
        assert_eq!(actions(&printed["source_key"]["statement"]), ["kms:Decrypt"]);
        assert_eq!(actions(&printed["destination_key"]["statement"]), ["kms:GenerateDataKey", "kms:Decrypt"]);
        assert_eq!(printed["destination_key"]["statement"]["Resource"], "*");
        assert_eq!(printed["principal"]["policy"]["Statement"][4]["Resource"], key);
        assert_eq!(printed["source"]["policy"]["Statement"][0]["Resource"], "arn:aws-cn:s3:::a-photos/*");
    }

    #[test]
    fn policy_with_invalid_argument_is_an_error() {
        for (line, remedy) in [
            ("--principal 22222", "12 digits"),
            ("--principal arn:aws:s3:::b", "role or user"),
            ("--principal arn:aws:iam::222222222222:group/g", "role or user"),
            ("--principal arn:aws:iam::222222222222:role/*", "role or user"),
            ("--principal arn:aws:iam::222222222222:role/", "role or user"),
            ("--principal 222222222222 --for cp --delete", "--for sync"),
            ("--principal 222222222222 --source-key alias/x", "a key's ARN"),
        ] {
            let error = printed(line).unwrap_err();
            assert!(error.contains(remedy), "{error}");
        }
    }
}
