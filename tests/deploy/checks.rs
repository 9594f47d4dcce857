//! Compares the deployed stack with the code: permissions, settings, documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use karui::config::Settings;
use karui::config::function::VARS;
use karui::s3::{Caller, Operation, Scope, Side};
use serde_json::Value;

use crate::world::Deployed;

/// Actions that the function's requests need, each on its bucket and scope; and those for logs, the queue and keys.
pub fn the_role_allows_what_the_code_calls_and_no_more(deployed: &Deployed) {
    let bucket = |side| match side {
        Side::Source => deployed.output("Source"),
        Side::Destination => deployed.output("Destination"),
    };
    let grants = Operation::sent_by(Caller::Function).flat_map(Operation::iam_actions);
    let needed: BTreeSet<_> = grants
        .map(|grant| {
            let objects = if grant.scope == Scope::Objects { "/*" } else { "" };
            (grant.action.to_owned(), format!("arn:aws:s3:::{}{objects}", bucket(grant.side)))
        })
        .collect();
    let allowed = deployed.allowed();
    let of_s3: BTreeSet<_> = allowed.iter().filter(|(action, _)| action.starts_with("s3:")).cloned().collect();
    assert_eq!(of_s3, needed);

    let others: BTreeSet<_> = allowed.difference(&of_s3).map(|(action, _)| action.as_str()).collect();
    let known = ["kms:Decrypt", "kms:GenerateDataKey", "logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"];
    assert!(others.iter().all(|action| known.contains(action)), "{others:?}");
    for (action, resource) in &allowed {
        assert!(!action.contains('*'), "{action}");
        // The streams of the one log group have no names that could be known.
        let bare = resource.trim_end_matches("/*").trim_end_matches(":*");
        assert!(!bare.contains('*') && (!resource.ends_with(":*") || action.starts_with("logs:")), "{resource}");
    }
    assert_eq!(deployed.0["attached"], serde_json::json!([]), "no policy of AWS, which would allow more");
}

pub fn buckets_and_queue_are_closed(deployed: &Deployed) {
    for (name, bucket) in deployed.0["buckets"].as_object().unwrap() {
        assert!(bucket["public"].as_object().unwrap().values().all(|closed| *closed == true), "{name}: {bucket}");
        let algorithm = &bucket["encryption"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"];
        assert_eq!(algorithm, "AES256", "{name}");
        assert_eq!(bucket["policy"][0]["Condition"]["Bool"]["aws:SecureTransport"], "false", "{name}");
        let template = &deployed.0["template"]["Resources"][name];
        let rule = &template["Properties"]["LifecycleConfiguration"]["Rules"][0];
        assert!(rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"].as_u64().is_some(), "{name}: {rule}");
        assert_eq!(template["DeletionPolicy"], "RetainExceptOnCreate", "{name}");
    }
    assert_eq!(deployed.0["queue"]["SqsManagedSseEnabled"], "true");
    let policy: Value = serde_json::from_str(deployed.0["queue"]["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Condition"]["Bool"]["aws:SecureTransport"], "false");
    assert_eq!(deployed.0["on_failure"]["OnFailure"]["Destination"], deployed.0["queue"]["QueueArn"]);
    assert_eq!(deployed.0["logs"][0]["retentionInDays"], 30);
    let condition = &deployed.0["may_invoke"][0]["Condition"];
    assert_eq!(condition["ArnLike"]["AWS:SourceArn"], format!("arn:aws:s3:::{}", deployed.output("Source")));
}

/// The function's variables, and the template's defaults, are the code's.
pub fn settings_are_what_the_code_takes(deployed: &Deployed) {
    let variables = deployed.variables();
    settings_are_accepted(&variables);
    for var in VARS.iter().filter(|var| ["KARUI_QUALITY", "KARUI_METADATA"].contains(&var.name)) {
        assert_eq!(Some(variables[var.name].as_str()), var.default, "{}", var.name);
    }
    let words = &deployed.0["template"]["Parameters"]["MetadataPolicy"]["AllowedValues"];
    for word in words.as_array().unwrap() {
        let mut variables = variables.clone();
        variables.insert("KARUI_METADATA".into(), word.as_str().unwrap().into());
        settings_are_accepted(&variables);
    }
}

pub fn parameters_are_documented(deployed: &Deployed) {
    let mut table = String::from("| Parameter | Default | Meaning |\n| --- | --- | --- |\n");
    for (name, parameter) in deployed.0["template"]["Parameters"].as_object().unwrap() {
        let default = match &parameter["Default"] {
            Value::String(text) if text.is_empty() => String::new(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let meaning = parameter["Description"].as_str().unwrap();
        writeln!(table, "| `{name}` | {default} | {meaning} |").unwrap();
    }
    let docs = include_str!("../../docs/deploy.md");
    let (_, rest) =
        docs.split_once("<!-- parameters -->\n").expect("docs/deploy.md has the marker <!-- parameters -->");
    let (documented, _) = rest.split_once("<!-- /parameters -->").unwrap();
    let rows = |table: &str| table.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert!(rows(documented) == rows(&table), "put this between the markers of docs/deploy.md:\n\n{table}");
}

pub fn settings_are_accepted(variables: &BTreeMap<String, String>) {
    Settings::parse(variables.clone()).unwrap_or_else(|faults| panic!("{faults}"));
}
