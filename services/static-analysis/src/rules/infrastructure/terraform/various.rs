//! What is peculiar to one resource, and no row can say.

use super::parse::Block;
use super::policy::is_bound;
use super::{Hit, address, is_true, key, plain};

const ROTATION: &str = "infrastructure.aws.secret-rotation-too-rare";
const ADMIN_ACCOUNT: &str = "infrastructure.google.service-account-admin";
const OIDC_GOOGLE: &str = "infrastructure.google.github-oidc-any-repository";
const OIDC_AZURE: &str = "infrastructure.azure.github-oidc-any-repository";
const SELF_LOGGING: &str = "infrastructure.google.storage-bucket-logs-to-itself";
const POSTGRES: &str = "infrastructure.aws.postgres-version-with-a-hole";
const ADMIN_PASSWORD: &str = "infrastructure.azure.vm-admin-password";

pub(super) fn check(block: &Block, _: &str, hits: &mut Vec<Hit>) {
    match key(block).as_str() {
        "aws_secretsmanager_secret_rotation" => rotation(block, hits),
        "google_project_iam_member" => admin_account(block, hits),
        "google_iam_workload_identity_pool_provider" => google_oidc(block, hits),
        "google_storage_bucket" => self_logging(block, hits),
        "aws_db_instance" | "aws_rds_cluster" => postgres(block, hits),
        "azuread_application_federated_identity_credential" => azure_oidc(block, hits),
        "azurerm_linux_virtual_machine" | "azurerm_linux_virtual_machine_scale_set" => admin_password(block, hits),
        _ => {}
    }
}

/// `rate(180 days)`.
fn rotation(block: &Block, hits: &mut Vec<Hit>) {
    for rules in block.blocks("rotation_rules") {
        let Some(attribute) = rules.attribute("schedule_expression") else { continue };
        let rate = attribute.value.plain().and_then(|text| text.strip_prefix("rate(")?.strip_suffix(')'));
        let Some((number, unit)) = rate.and_then(|rate| rate.split_once(' ')) else { continue };
        let days = match (number.parse::<u64>(), unit.trim().trim_end_matches('s')) {
            (Ok(days), "day") => days,
            (Ok(hours), "hour") => hours / 24,
            _ => continue,
        };
        if days > 90 {
            let message = format!("{}: the secret is only rotated every {days} days", address(block));
            hits.push(Hit::at(ROTATION, attribute.range.clone(), message));
        }
    }
}

fn admin_account(block: &Block, hits: &mut Vec<Hit>) {
    let Some(role) = block.attribute("role") else { return };
    let is_admin = role.value.plain().is_some_and(|role| {
        role.to_ascii_lowercase().ends_with("admin") || role.ends_with("editor") || role.ends_with("owner")
    });
    let member = block.attribute("member").map(|member| member.value.texts()).unwrap_or_default();
    let is_account = member
        .iter()
        .any(|member| member.starts_with("serviceAccount:") && member.contains(".iam.gserviceaccount.com"));
    if is_admin && is_account {
        let message = format!("{}: the service account can administer the whole project", address(block));
        hits.push(Hit::at(ADMIN_ACCOUNT, role.range.clone(), message));
    }
}

fn google_oidc(block: &Block, hits: &mut Vec<Hit>) {
    let is_github = block
        .blocks("oidc")
        .any(|oidc| plain(oidc, "issuer_uri").is_some_and(|uri| uri.contains("token.actions.githubusercontent.com")));
    if !is_github {
        return;
    }
    match block.attribute("attribute_condition") {
        None => {
            let message = format!("{}: workflows of every repository on GitHub may sign in", address(block));
            hits.push(Hit::missing(OIDC_GOOGLE, block, message));
        }
        Some(attribute) => {
            let Some(text) = attribute.value.plain() else { return };
            let quoted = text
                .split(['\'', '"', '\\'])
                .find(|part| part.contains(':') || part.contains('/') || part.contains('*'));
            let bound = quoted.is_some_and(|subject| {
                is_bound(&super::parse::Value::Plain(subject.to_owned()))
                    || !text.contains("assertion.sub") && text.contains("repository") && !subject.contains('*')
            });
            if !bound {
                let message = format!("{}: workflows of other repositories may sign in, too", address(block));
                hits.push(Hit::at(OIDC_GOOGLE, attribute.range.clone(), message));
            }
        }
    }
}

fn azure_oidc(block: &Block, hits: &mut Vec<Hit>) {
    let Some(subject) = block.attribute("subject") else { return };
    let is_github = plain(block, "issuer").is_none_or(|issuer| issuer.contains("token.actions.githubusercontent.com"));
    if is_github && !is_bound(&subject.value) {
        let message = format!("{}: workflows of other repositories may sign in, too", address(block));
        hits.push(Hit::at(OIDC_AZURE, subject.range.clone(), message));
    }
}

fn admin_password(block: &Block, hits: &mut Vec<Hit>) {
    let Some(password) = block.attribute("admin_password").filter(|password| password.value.plain().is_some()) else {
        return;
    };
    let is_off = plain(block, "disable_password_authentication") == Some("false");
    if is_off && !is_true(block, "disable_password_authentication") {
        let message = format!("{}: the administrator's password stands in the configuration", address(block));
        hits.push(Hit::at(ADMIN_PASSWORD, password.range.clone(), message));
    }
}

/// A bucket that keeps the logs about itself can be emptied together with them.
fn self_logging(block: &Block, hits: &mut Vec<Hit>) {
    let Some(name) = plain(block, "name") else { return };
    for logging in block.blocks("logging") {
        if let Some(attribute) = logging.attribute("log_bucket").filter(|bucket| bucket.value.plain() == Some(name)) {
            let message = format!("{}: the bucket keeps the logs about itself", address(block));
            hits.push(Hit::at(SELF_LOGGING, attribute.range.clone(), message));
        }
    }
}

/// The first versions of each line without the hole of AWS-2022-004; what is newer has none.
const MENDED: &[(&str, &[(u32, u32)])] =
    &[("postgres", &[(13, 3), (12, 7), (11, 12), (10, 17)]), ("aurora-postgresql", &[(11, 9), (10, 14)])];

fn postgres(block: &Block, hits: &mut Vec<Hit>) {
    let Some((_, lines)) = plain(block, "engine").and_then(|engine| MENDED.iter().find(|(name, _)| *name == engine))
    else {
        return;
    };
    let Some(attribute) = block.attribute("engine_version") else { return };
    let numbers =
        attribute.value.plain().map(|version| version.split('.').map(str::parse::<u32>).collect::<Result<Vec<_>, _>>());
    let is_old = match numbers {
        Some(Ok(numbers)) => match numbers[..] {
            [9, 6, patch] => patch < 22,
            [9, ..] => numbers.len() > 1,
            [major, minor, ..] => {
                let newest = lines.iter().map(|(major, _)| *major).max().unwrap_or(0);
                let line = lines.iter().find(|(of, _)| *of == major);
                major <= newest && line.is_none_or(|(_, mended)| minor < *mended)
            }
            _ => false,
        },
        _ => false,
    };
    if is_old {
        let message = format!(
            "{}: this version lets database users read the machine's credentials (AWS-2022-004)",
            address(block)
        );
        hits.push(Hit::at(POSTGRES, attribute.range.clone(), message));
    }
}
