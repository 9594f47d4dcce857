//! From one account to another, on a `MiniStack` that refuses what no policy allows: by the policies that `karui policy`
//! prints, and by a role for each side.

use std::process::Command;

use crate::support::ministack::MiniStack;
use crate::support::{DESTINATION, SOURCE, noise};
use aws_sdk_s3::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Accounts that own buckets.
const A: &str = "111111111111";
const B: &str = "222222222222";
/// Account that owns no bucket.
const C: &str = "333333333333";

struct World {
    ministack: MiniStack,
    /// Of the owner of either side.
    source: Client,
    destination: Client,
    here: TempDir,
}

struct Said {
    code: Option<i32>,
    stdout: Vec<u8>,
    all: String,
}

impl World {
    /// By the owners of source and destination.
    async fn of(source: &str, destination: &str) -> Self {
        let ministack = MiniStack::start_with_accounts().await;
        let (source, destination) = (ministack.client_of(source), ministack.client_of(destination));
        source.create_bucket().bucket(SOURCE).send().await.unwrap();
        destination.create_bucket().bucket(DESTINATION).send().await.unwrap();
        for key in ["in/a.txt", "in/b.txt"] {
            let body = noise(1000).into();
            source.put_object().bucket(SOURCE).key(key).tagging("class=public").body(body).send().await.unwrap();
        }
        Self { ministack, source, destination, here: tempfile::tempdir().unwrap() }
    }

    /// The program with the credentials of an account.
    fn karui(&self, account: &str, line: &str) -> Said {
        Self::said(&mut self.command(account, line))
    }

    fn command(&self, account: &str, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_karui"));
        command
            .args(line.split_whitespace())
            .current_dir(self.here.path())
            .env_clear()
            .envs(self.ministack.environment_of(account))
            .envs([("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent"), ("KARUI_CHECKSUM", "sha256")]);
        command
    }

    fn said(command: &mut Command) -> Said {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all = text(&output.stdout) + &text(&output.stderr);
        Said { code: output.status.code(), stdout: output.stdout, all }
    }

    /// A role that the third account may assume where it knows the external ID.
    fn create_role(&self, account: &str, name: &str, statements: &Value) {
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": { "AWS": C },
            "Action": "sts:AssumeRole",
            "Condition": { "StringEquals": { "sts:ExternalId": "secret" } },
        }] });
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        let (trust, policy) = (trust.to_string(), policy.to_string());
        self.aws(account, &["create-role", "--role-name", name, "--assume-role-policy-document", &trust]);
        let put = ["put-role-policy", "--role-name", name, "--policy-name", "karui", "--policy-document", &policy];
        self.aws(account, &put);
    }

    fn aws(&self, account: &str, words: &[&str]) {
        let programs = std::env::var("KARUI_TEST_CLIENTS").expect(
            "KARUI_TEST_CLIENTS must name a folder with the AWS CLI; `make test` installs it and sets the variable",
        );
        let mut command = Command::new(std::path::Path::new(&programs).join("aws"));
        command.arg("iam").args(words).env_clear().env("HOME", "/nonexistent");
        let output = command.envs(self.ministack.environment_of(account)).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    async fn allow(&self, client: &Client, bucket: &str, policy: &Value) {
        client.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await.unwrap();
    }

    /// Returns the output of `karui policy` for one of the commands.
    fn policies(&self, options: &str) -> Value {
        let said = self.karui(C, &format!("policy --source s3://{SOURCE} --destination s3://{DESTINATION} {options}"));
        serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}", said.all))
    }

    /// The object's bytes and tags at the destination, if it is there.
    async fn arrived(&self, key: &str) -> Option<(Vec<u8>, String)> {
        let object = self.destination.get_object().bucket(DESTINATION).key(key).send().await.ok()?;
        let tags = self.destination.get_object_tagging().bucket(DESTINATION).key(key).send().await.unwrap();
        let tags: Vec<_> = tags.tag_set().iter().map(|tag| format!("{}={}", tag.key(), tag.value())).collect();
        Some((object.body.collect().await.unwrap().to_vec(), tags.join("&")))
    }
}

/// This server makes no copy between buckets of two owners, even where their policies allow it: both are of one here, and
/// the principal of another.
#[tokio::test(flavor = "multi_thread")]
async fn printed_policy_grants_what_was_missing() {
    let world = World::of(A, A).await;
    let cp = format!("cp --json s3://{SOURCE}/in/a.txt s3://{DESTINATION}/a.txt");
    let sync = format!("sync --json s3://{SOURCE}/in/ s3://{DESTINATION}/out/");
    let least = world.policies(&format!("--principal {C} --for cp"));
    let all = world.policies(&format!("--principal {C} --for sync --tags"));

    let refused = |line: &str, grant: &str| {
        let said = world.karui(C, line);
        assert!(said.code == Some(1) && said.all.contains(grant), "{line}: {}", said.all);
    };
    refused(&cp, "grant s3:GetObject on arn:aws:s3:::source/*");
    assert_eq!(least["source"]["policy"]["Statement"][0]["Action"], json!(["s3:GetObject"]));
    world.allow(&world.source, SOURCE, &least["source"]["policy"]).await;
    refused(&cp, "s3:PutObject (and, for tags, s3:PutObjectTagging) on arn:aws:s3:::destination/*");
    assert_eq!(world.arrived("a.txt").await, None);
    world.allow(&world.destination, DESTINATION, &least["destination"]["policy"]).await;
    let said = world.karui(C, &cp);
    assert_eq!(said.code, Some(0), "{}", said.all);
    assert_eq!(world.arrived("a.txt").await.map(|(bytes, _)| bytes), Some(noise(1000).to_vec()));
    refused(&sync, "grant s3:ListBucket on arn:aws:s3:::source");

    world.allow(&world.source, SOURCE, &all["source"]["policy"]).await;
    world.allow(&world.destination, DESTINATION, &all["destination"]["policy"]).await;
    let said = world.karui(C, &sync);
    assert!(said.code == Some(0) && said.all.matches(r#""warnings":[]"#).count() == 2, "{}", said.all);
    for key in ["out/a.txt", "out/b.txt"] {
        assert_eq!(world.arrived(key).await, Some((noise(1000).to_vec(), "class=public".into())), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn role_per_side_relays_between_accounts() {
    let world = World::of(A, B).await;
    let allow =
        |actions: &[&str], resource: &str| json!({ "Effect": "Allow", "Action": actions, "Resource": resource });
    let reads = [
        allow(&["s3:GetObject", "s3:GetObjectTagging"], "arn:aws:s3:::source/*"),
        allow(&["s3:ListBucket"], "arn:aws:s3:::source"),
    ];
    let writes = [
        allow(&["s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"], "arn:aws:s3:::destination/*"),
        allow(&["s3:ListBucket"], "arn:aws:s3:::destination"),
    ];
    world.create_role(A, "reader", &json!(reads));
    world.create_role(B, "writer", &json!(writes));
    let roles = |id: &str| {
        format!(
            "--source-role arn:aws:iam::{A}:role/reader --source-external-id {id} \
             --destination-role arn:aws:iam::{B}:role/writer --destination-external-id secret"
        )
    };
    let cp = format!("cp --json s3://{SOURCE}/in/a.txt s3://{DESTINATION}/a.txt");
    let said = world.karui(C, &cp);
    assert!(said.code == Some(1) && said.all.contains("access denied"), "{}", said.all);
    let said = world.karui(C, &format!("{cp} {}", roles("guessed")));
    let why = "no valid credentials; check the role, the profile, or AWS_ACCESS_KEY_ID";
    assert!(said.code == Some(1) && said.all.contains(why) && said.all.contains("sts:AssumeRole"), "{}", said.all);
    assert_eq!(world.arrived("a.txt").await, None);

    let said = world.karui(C, &format!("{cp} {}", roles("secret")));
    assert!(said.code == Some(0) && said.all.contains("copied via this machine"), "{}", said.all);
    assert_eq!(world.arrived("a.txt").await, Some((noise(1000).to_vec(), "class=public".into())));
    // The same with profiles, which also name the roles.
    let profile = |account: &str, name: &str| {
        format!(
            "[profile {name}]\nrole_arn = arn:aws:iam::{account}:role/{name}\nexternal_id = secret\n\
             credential_source = Environment\nregion = us-east-1\n"
        )
    };
    let config = world.here.path().join("config");
    std::fs::write(&config, profile(A, "reader") + &profile(B, "writer")).unwrap();
    let cp = format!("cp --json s3://{SOURCE}/in/b.txt s3://{DESTINATION}/b.txt");
    let cp = format!("{cp} --source-profile reader --destination-profile writer");
    let mut command = world.command(C, &cp);
    command.env("AWS_CONFIG_FILE", &config).env_remove("AWS_REGION").env_remove("AWS_DEFAULT_REGION");
    let said = World::said(&mut command);
    assert_eq!(said.code, Some(0), "{}", said.all);
    assert_eq!(world.arrived("b.txt").await, Some((noise(1000).to_vec(), "class=public".into())));

    for options in ["", "--optimize"] {
        let sync =
            format!("sync --json s3://{SOURCE}/in/ s3://{DESTINATION}/out{options}/ {options} {}", roles("secret"));
        let said = world.karui(C, &sync);
        assert!(said.code == Some(0) && said.all.matches(r#""method":"relay""#).count() == 2, "{}", said.all);
        let key = format!("out{options}/b.txt");
        assert_eq!(world.arrived(&key).await, Some((noise(1000).to_vec(), "class=public".into())), "{key}");
    }
}
