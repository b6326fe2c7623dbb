//! Policies: who may do what, in a document of JSON or in `data "aws_iam_policy_document"`.

use std::ops::Range;

use domain::Severity;

use super::parse::{Block, Value};
use super::{Hit, address, each, field, key, plain};

const ADMIN: &str = "infrastructure.aws.policy-admin";
const ANY_ACTION: &str = "infrastructure.aws.policy-any-action";
const ANY_RESOURCE: &str = "infrastructure.aws.policy-any-resource";
const ESCALATION: &str = "infrastructure.aws.policy-privilege-escalation";
const CREDENTIALS: &str = "infrastructure.aws.policy-credentials";
const PUBLIC: &str = "infrastructure.aws.policy-public";
const PUBLIC_KEY: &str = "infrastructure.aws.kms-key-policy-public";
const PUBLIC_DOCUMENT: &str = "infrastructure.aws.policy-document-public";
const DATA: &str = "infrastructure.aws.policy-data-anywhere";
const ANYBODY: &str = "infrastructure.aws.role-anybody-may-assume";
const ACCOUNT: &str = "infrastructure.aws.role-account-may-assume";
const GITHUB: &str = "infrastructure.aws.github-oidc-any-repository";

/// What lets a principal become more than it is: any one set of these actions on every resource.
const ESCALATIONS: &[&[&str]] = &[
    &["iam:createaccesskey"],
    &["iam:createloginprofile"],
    &["iam:updateloginprofile"],
    &["iam:addusertogroup"],
    &["iam:attachgrouppolicy"],
    &["iam:attachuserpolicy"],
    &["iam:attachrolepolicy", "sts:assumerole"],
    &["iam:createpolicyversion"],
    &["iam:setdefaultpolicyversion"],
    &["iam:putgrouppolicy"],
    &["iam:putuserpolicy"],
    &["iam:putrolepolicy", "sts:assumerole"],
    &["iam:updateassumerolepolicy", "sts:assumerole"],
    &["iam:passrole", "ec2:runinstances"],
    &["iam:passrole", "lambda:createfunction"],
    &["iam:passrole", "cloudformation:createstack"],
    &["iam:passrole", "datapipeline:createpipeline"],
    &["iam:passrole", "glue:createdevendpoint"],
    &["iam:passrole", "sagemaker:createnotebookinstance"],
    &["iam:passrole", "codestar:createproject"],
    &["lambda:updatefunctioncode"],
    &["glue:updatedevendpoint"],
];

/// What reads data and secrets, or takes them out of their store.
const DATA_ACTIONS: &[&str] = &[
    "s3:getobject",
    "dynamodb:getitem",
    "dynamodb:batchgetitem",
    "dynamodb:query",
    "dynamodb:scan",
    "kinesis:getrecords",
    "logs:getlogevents",
    "logs:filterlogevents",
    "ssm:getparameter",
    "ssm:getparameters",
    "ssm:getparametersbypath",
    "secretsmanager:getsecretvalue",
    "rds:copydbsnapshot",
    "rds:createdbsnapshot",
];

/// What hands out credentials.
const CREDENTIAL_ACTIONS: &[&str] = &[
    "iam:createaccesskey",
    "iam:createloginprofile",
    "iam:updateaccesskey",
    "iam:createservicespecificcredential",
    "iam:resetservicespecificcredential",
    "sts:assumerole",
    "sts:assumerolewithsaml",
    "sts:assumerolewithwebidentity",
    "sts:getfederationtoken",
    "sts:getsessiontoken",
    "cognito-identity:getcredentialsforidentity",
    "cognito-identity:getopenidtoken",
    "cognito-identity:getopenidtokenfordeveloperidentity",
    "chime:createapikey",
    "codepipeline:pollforjobs",
    "connect:getfederationtoken",
    "gamelift:requestuploadcredentials",
    "lightsail:getinstanceaccessdetails",
    "lightsail:getrelationaldatabasemasteruserpassword",
    "rds-db:connect",
    "redshift:getclustercredentials",
    "sso:getrolecredentials",
    "mediapackage:rotatechannelcredentials",
    "mediapackage:rotateingestendpointcredentials",
    "snowball:getjobunlockcode",
    "storagegateway:describechapcredentials",
];

/// One statement, its values in lower case.
struct Statement {
    allows: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    principals: Vec<String>,
    has_condition: bool,
    range: Range<usize>,
}

pub(super) fn check(block: &Block, _: &str, hits: &mut Vec<Hit>) {
    match key(block).as_str() {
        "aws_iam_policy"
        | "aws_iam_role_policy"
        | "aws_iam_user_policy"
        | "aws_iam_group_policy"
        | "aws_ssoadmin_permission_set_inline_policy" => {
            let statements = documents(block, &["policy", "inline_policy"]);
            rights(block, &statements, hits);
        }
        "aws_iam_role" => {
            for inline in block.blocks("inline_policy") {
                rights(block, &documents(inline, &["policy"]), hits);
            }
            trust(block, &documents(block, &["assume_role_policy"]), hits);
        }
        "data.aws_iam_policy_document" => {
            let statements = written(block);
            rights(block, &statements, hits);
            public(block, PUBLIC_DOCUMENT, &statements, hits);
            github(block, hits);
        }
        "aws_kms_key" => public(block, PUBLIC_KEY, &documents(block, &["policy"]), hits),
        "aws_sqs_queue_policy" => {
            let statements = documents(block, &["policy"]);
            any_action(block, &statements, hits);
            public(block, PUBLIC, &statements, hits);
        }
        "aws_sqs_queue"
        | "aws_sns_topic"
        | "aws_sns_topic_policy"
        | "aws_ecr_repository_policy"
        | "aws_s3_bucket_policy"
        | "aws_secretsmanager_secret_policy"
        | "aws_glacier_vault" => {
            public(block, PUBLIC, &documents(block, &["policy", "access_policy"]), hits);
        }
        _ => {}
    }
}

/// The hazard that somebody gave thought to who wrote this block's policy: who may use a key.
pub(super) fn considers(block: &Block) -> Option<&'static str> {
    (key(block) == "aws_kms_key" && block.attribute("policy").is_some()).then_some("tf.encryption-off")
}

/// What a policy of an identity allows too much, the worst first.
fn rights(block: &Block, statements: &[Statement], hits: &mut Vec<Hit>) {
    let any = |values: &[String]| values.iter().any(|value| value == "*");
    for statement in statements.iter().filter(|statement| statement.allows) {
        if any(&statement.actions) && any(&statement.resources) {
            let message = format!("{}: allows every action on every resource", address(block));
            hits.push(Hit::at(ADMIN, statement.range.clone(), message));
            return;
        }
    }
    any_action(block, statements, hits);
    credentials(block, statements, hits);
    let unbound = statements.iter().filter(|statement| statement.allows && any(&statement.resources));
    let unbound: Vec<_> = unbound.collect();
    let Some(first) = unbound.first() else { return };
    let reads = |action: &String| action != "*" && DATA_ACTIONS.iter().any(|wanted| matches(action, wanted));
    if let Some(statement) = unbound.iter().find(|statement| statement.actions.iter().any(reads)) {
        let message = format!("{}: allows to read the data or the secrets of everything", address(block));
        hits.push(Hit::at(DATA, statement.range.clone(), message));
    }
    let actions: Vec<&str> = unbound.iter().flat_map(|statement| &statement.actions).map(String::as_str).collect();
    let allows = |wanted: &&str| actions.iter().any(|action| matches(action, wanted));
    if ESCALATIONS.iter().any(|set| set.iter().all(&allows)) {
        let message = format!("{}: whoever has these rights can give themselves more", address(block));
        hits.push(Hit::at(ESCALATION, first.range.clone(), message));
    }
    if let Some(statement) = unbound.iter().find(|statement| statement.actions.iter().any(|action| writes(action))) {
        let message = format!("{}: allows to change things on every resource", address(block));
        hits.push(Hit::at(ANY_RESOURCE, statement.range.clone(), message));
    }
}

/// What hands out credentials; to take on a named role is what roles are for.
fn credentials(block: &Block, statements: &[Statement], hits: &mut Vec<Hit>) {
    let found = statements.iter().filter(|statement| statement.allows).find(|statement| {
        let anywhere = statement.resources.iter().any(|resource| resource == "*");
        let wanted = CREDENTIAL_ACTIONS.iter().filter(|wanted| anywhere || !wanted.starts_with("sts:"));
        let of = |wanted: &&str| statement.actions.iter().any(|action| action != "*" && matches(action, wanted));
        wanted.copied().any(|wanted| of(&wanted))
    });
    if let Some(statement) = found {
        let message = format!("{}: allows to get other principals' credentials", address(block));
        hits.push(Hit::at(CREDENTIALS, statement.range.clone(), message));
    }
}

fn any_action(block: &Block, statements: &[Statement], hits: &mut Vec<Hit>) {
    let found =
        statements.iter().find(|statement| statement.allows && statement.actions.iter().any(|action| action == "*"));
    if let Some(statement) = found {
        let message = format!("{}: allows every action", address(block));
        hits.push(Hit::at(ANY_ACTION, statement.range.clone(), message));
    }
}

/// Whether an action does more than look.
fn writes(action: &str) -> bool {
    const LOOKS: [&str; 12] = [
        "describe",
        "list",
        "get",
        "view",
        "search",
        "lookup",
        "query",
        "batchget",
        "head",
        "check",
        "put metricdata",
        "simulate",
    ];
    let Some((service, verb)) = action.split_once(':') else { return action != "*" };
    // These know no resource.
    const WITHOUT_RESOURCE: [&str; 3] = ["cloudwatch", "xray", "ec2messages"];
    !LOOKS.iter().any(|look| verb.starts_with(look)) && !WITHOUT_RESOURCE.contains(&service)
}

/// Whether an action of a policy, which may hold `*` and `?`, covers another.
fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.as_bytes(), action.as_bytes());
    let (mut p, mut a) = (0, 0);
    let mut back = None;
    while a < action.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, a));
                p += 1;
            }
            Some(byte) if *byte == action[a] || *byte == b'?' => {
                p += 1;
                a += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    p = star + 1;
                    a = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Whether everybody may use a resource, without a condition.
fn public(block: &Block, rule: &'static str, statements: &[Statement], hits: &mut Vec<Hit>) {
    let found = statements.iter().find(|statement| {
        statement.allows && !statement.has_condition && statement.principals.iter().any(|principal| principal == "*")
    });
    if let Some(statement) = found {
        let message = format!("{}: its policy allows everybody in", address(block));
        hits.push(Hit::at(rule, statement.range.clone(), message));
    }
}

/// The statements of the documents in these attributes.
fn documents(block: &Block, names: &[&str]) -> Vec<Statement> {
    let mut statements = Vec::new();
    for attribute in names.iter().filter_map(|name| block.attribute(name)) {
        let Some(written) = field(&attribute.value, "Statement") else { continue };
        for statement in each(written) {
            let get = |name| field(statement, name);
            let texts = |name| get(name).map(lower).unwrap_or_default();
            let principals = match get("Principal") {
                Some(Value::Object(fields)) => fields
                    .iter()
                    .filter(|(kind, _)| kind == "AWS" || kind == "*")
                    .flat_map(|(_, value)| lower(value))
                    .collect(),
                Some(value) => lower(value),
                None => Vec::new(),
            };
            statements.push(Statement {
                allows: get("Effect").is_none_or(|effect| effect.plain() == Some("Allow")),
                actions: texts("Action"),
                resources: texts("Resource"),
                principals,
                has_condition: get("Condition").is_some(),
                range: attribute.range.clone(),
            });
        }
    }
    statements
}

/// The plain texts of a value, in lower case.
fn lower(value: &Value) -> Vec<String> {
    each(value).iter().filter_map(Value::plain).map(str::to_ascii_lowercase).collect()
}

/// The statements of `data "aws_iam_policy_document"`.
fn written(block: &Block) -> Vec<Statement> {
    let statement = |inner: &Block| {
        let texts = |name| inner.attribute(name).map(|attribute| lower(&attribute.value)).unwrap_or_default();
        let range = inner.attribute("actions").map_or(inner.range.clone(), |attribute| attribute.range.clone());
        Statement {
            allows: inner.attribute("effect").is_none_or(|effect| effect.value.plain() == Some("Allow")),
            actions: texts("actions"),
            resources: texts("resources"),
            principals: inner.blocks("principals").filter(|one| is_account(one)).flat_map(identifiers).collect(),
            has_condition: inner.blocks("condition").next().is_some(),
            range,
        }
    };
    block.blocks("statement").map(statement).collect()
}

/// Whether these principals are accounts, or everybody.
fn is_account(principals: &Block) -> bool {
    plain(principals, "type").is_some_and(|kind| matches!(kind, "AWS" | "*"))
}

fn identifiers(principals: &Block) -> Vec<String> {
    principals.attribute("identifiers").map(|attribute| lower(&attribute.value)).unwrap_or_default()
}

/// Who may take on a role.
fn trust(block: &Block, statements: &[Statement], hits: &mut Vec<Hit>) {
    let is_whole_account = |principal: &String| {
        let id =
            principal.strip_prefix("arn:aws:iam::").and_then(|rest| rest.strip_suffix(":root")).unwrap_or(principal);
        id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())
    };
    for statement in statements.iter().filter(|statement| statement.allows && !statement.has_condition) {
        if statement.principals.iter().any(|principal| principal == "*") {
            let message = format!("{}: everybody with an account at AWS may take on the role", address(block));
            hits.push(Hit::at(ANYBODY, statement.range.clone(), message));
        } else if statement.principals.iter().any(is_whole_account) {
            let message = format!("{}: everybody in the account whom it lets may take on the role", address(block));
            hits.push(Hit::at(ACCOUNT, statement.range.clone(), message));
        }
    }
}

/// A role that GitHub's workflows may take on: of which repository has to be said.
fn github(block: &Block, hits: &mut Vec<Hit>) {
    const ISSUER: &str = "token.actions.githubusercontent.com";
    for statement in block.blocks("statement") {
        let is_github = statement.blocks("principals").any(|principal| {
            let of = principal.attribute("identifiers").map(|attribute| attribute.value.texts()).unwrap_or_default();
            plain(principal, "type") == Some("Federated") && of.iter().any(|text| text.contains(ISSUER))
        });
        if !is_github {
            continue;
        }
        let mut subjects = statement.blocks("condition").filter(|condition| {
            let variable = condition.attribute("variable").map(|attribute| attribute.value.texts()).unwrap_or_default();
            variable.iter().any(|text| text.ends_with(":sub"))
        });
        let values = subjects.next().and_then(|condition| condition.attribute("values"));
        let is_bound = values.is_some_and(|values| each(&values.value).iter().all(is_bound));
        if !is_bound {
            let message = format!("{}: workflows of other repositories may take the role on, too", address(block));
            let range = values.map_or(statement.range.clone(), |values| values.range.clone());
            hits.push(Hit::at(GITHUB, range, message).severity(Severity::Medium));
        }
    }
}

/// `repo:owner/name:…`, and not `repo:*` or `environment:…`, which anybody can have.
pub(super) fn is_bound(subject: &Value) -> bool {
    let Some(text) = subject.plain() else { return true };
    let mut parts = text.split(':');
    match (parts.next(), parts.next()) {
        (Some("repo"), Some(repository)) => repository
            .split_once('/')
            .is_some_and(|(owner, name)| !owner.is_empty() && !owner.contains('*') && !name.is_empty()),
        (Some(claim), Some(value)) => {
            !claim.contains('*')
                && value != "*"
                && !matches!(claim, "workflow" | "environment" | "ref" | "context" | "head_ref" | "base_ref")
        }
        _ => false,
    }
}
