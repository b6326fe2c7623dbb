//! What the rules find in Terraform, through the whole engine.

use std::collections::HashSet;

use domain::Severity;
use domain::Severity::{High, Info, Low, Medium};
use proptest::prelude::*;

use super::*;
use crate::sample;

/// A new file of this text is found to have just these rules' hazards: `what line`, where `what` is the id after its provider.
#[track_caller]
fn check(text: &str, hazard: &str, expected: &[&str]) {
    let analysis = sample::scan(vec![sample::added("infra/main.tf", text)]);
    let hazard_of = |id: &str| rules().iter().find(|rule| rule.id == id).map_or("", |rule| rule.hazard);
    let mut got: Vec<_> = analysis
        .findings
        .iter()
        .filter(|finding| hazard_of(&finding.rule_id) == hazard && finding.rule_id.starts_with("infrastructure."))
        .map(|finding| format!("{} {}", finding.rule_id.rsplit('.').next().unwrap(), finding.line))
        .collect();
    got.sort();
    assert_eq!(got, expected, "{text}");
}

/// What the rule finds in a hunk of a changed file.
#[track_caller]
fn check_hunk(rule: &str, hunk: &str, expected: &[(u32, Severity)]) {
    let rule = rules().iter().find(|known| known.id == format!("infrastructure.{rule}")).expect("a rule");
    sample::finds_in_hunk(rule, "infra/main.tf", hunk, expected);
}

#[track_caller]
pub(super) fn check_file(rule: &str, text: &str, expected: &[(u32, Severity)]) {
    let rule = rules().iter().find(|known| known.id == format!("infrastructure.{rule}")).expect("a rule");
    sample::finds_in_file(rule, "infra/main.tf", text, expected);
}

#[test]
fn every_row_can_be_read_and_every_function_has_its_rules() {
    assert!(rules().len() > 500);
    let ids: HashSet<_> = rules().iter().map(|rule| rule.id).collect();
    let sources = [
        include_str!("network.rs"),
        include_str!("pods.rs"),
        include_str!("policy.rs"),
        include_str!("secrets.rs"),
        include_str!("various.rs"),
        include_str!("protection.rs"),
    ];
    for source in sources {
        for part in source.split(": &str = \"infrastructure.").skip(1) {
            let id = format!("infrastructure.{}", part.split('"').next().unwrap());
            assert!(ids.contains(id.as_str()), "{id} is not in checks.toml");
        }
    }
}

#[test]
fn a_bad_value_and_a_missing_one_are_found() {
    let hazard = "tf.encryption-off";
    check(
        "resource \"aws_ebs_volume\" \"a\" {\n  encrypted = false\n}\n",
        hazard,
        &["ebs-volume-encrypted 2", "ebs-volume-kms-key-id 1"],
    );
    check(
        "resource \"aws_efs_file_system\" \"a\" {\n}\n",
        hazard,
        &["efs-file-system-encrypted 1", "efs-file-system-kms-key-id 1"],
    );
    check("resource \"aws_efs_file_system\" \"a\" {\n  encrypted = true\n}\n", hazard, &[]);
    check("resource \"aws_efs_file_system\" \"a\" {\n  encrypted = \"true\" # yes\n}\n", hazard, &[]);
    check("resource \"aws_efs_file_system\" \"a\" {\n  encrypted = var.encrypted\n}\n", hazard, &[]);
    check("resource \"aws_unknown\" \"a\" {\n  encrypted = false\n}\n", hazard, &[]);
}

#[test]
fn a_nested_value_is_found_where_it_stands() {
    let hazard = "tf.no-backup-or-deletion-protection";
    let database = "resource \"google_sql_database_instance\" \"a\" {\n  settings {\n    backup_configuration {\n      enabled = X\n    }\n  }\n}\n";
    check(&database.replace('X', "false"), hazard, &["sql-database-instance-backup-configuration-enabled 4"]);
    check(&database.replace('X', "true"), hazard, &[]);
    let table = "resource \"aws_dynamodb_table\" \"a\" {\n  name = \"a\"\n  X\n}\n";
    check(&table.replace('X', ""), hazard, &["dynamodb-table-point-in-time-recovery-enabled 1"]);
    check(&table.replace('X', "point_in_time_recovery { \n enabled = true\n }"), hazard, &[]);
    check(
        &table.replace(
            'X',
            "dynamic \"point_in_time_recovery\" {\n for_each = var.p\n content { \n enabled = true\n }\n }",
        ),
        hazard,
        &[],
    );
}

#[test]
fn a_named_setting_is_looked_for_among_its_like() {
    let hazard = "tf.tls-off-or-old";
    let group = "resource \"aws_docdb_cluster_parameter_group\" \"a\" {\n  parameter {\n    name  = \"ttl\"\n    value = \"disabled\"\n  }\n  parameter {\n    name  = \"tls\"\n    value = \"X\"\n  }\n}\n";
    check(&group.replace('X', "disabled"), hazard, &["docdb-cluster-parameter-group-tls-value 8"]);
    check(&group.replace('X', "enabled"), hazard, &[]);
}

#[test]
fn a_condition_says_what_a_row_is_about() {
    let listener =
        "resource \"aws_lb_listener\" \"a\" {\n  protocol = \"HTTP\"\n  default_action {\n    type = \"X\"\n  }\n}\n";
    check(&listener.replace('X', "forward"), "tf.tls-off-or-old", &["lb-listener-protocol 2"]);
    check(&listener.replace('X', "redirect"), "tf.tls-off-or-old", &[]);
    let cluster = "resource \"aws_elasticache_cluster\" \"a\" {\n  engine = X\n}\n";
    let hazard = "tf.no-backup-or-deletion-protection";
    check(&cluster.replace('X', "\"redis\""), hazard, &["elasticache-cluster-snapshot-retention-limit 1"]);
    check(&cluster.replace('X', "\"memcached\""), hazard, &[]);
    check(&cluster.replace('X', "var.engine"), hazard, &[]);
}

#[test]
fn a_value_given_thought_silences_only_its_own_family() {
    let cluster = "resource \"aws_docdb_cluster\" \"a\" {\n  storage_encrypted = true\n}\n";
    check(cluster, "tf.encryption-off", &[]);
    check(cluster, "tf.no-backup-or-deletion-protection", &["docdb-cluster-backup-retention-period 1"]);
    // Backups do not keep anybody from deleting the whole database.
    let database = "resource \"aws_db_instance\" \"a\" {\n  backup_retention_period = 7\n  X\n}\n";
    let hazard = "tf.no-backup-or-deletion-protection";
    check(&database.replace('X', ""), hazard, &["db-instance-deletion-protection 1"]);
    check(&database.replace('X', "deletion_protection = true"), hazard, &[]);
    check(&database.replace('X', "deletion_protection = var.protected"), hazard, &[]);
    // What fits no family is said each for itself.
    let balancer = "resource \"aws_lb\" \"a\" {\n  desync_mitigation_mode = \"strictest\"\n}\n";
    check_file("aws.lb-drop-invalid-header-fields", balancer, &[(1, Info)]);
}

#[test]
fn json_in_a_document_is_read() {
    let hazard = "tf.iam-wildcard";
    let batch = "resource \"aws_batch_job_definition\" \"a\" {\n  container_properties = <<C\n{ \"image\": \"x\", \"privileged\": X }\nC\n}\n";
    check(&batch.replace('X', "true"), hazard, &["batch-job-definition-privileged 2"]);
    check(&batch.replace('X', "false"), hazard, &[]);
    let task = "resource \"aws_ecs_task_definition\" \"a\" {\n  container_definitions = jsonencode([{ name = \"a\", privileged = true }])\n}\n";
    check(task, hazard, &["ecs-task-definition-privileged 2"]);
}

#[test]
fn policies_are_judged_by_their_statements() {
    let hazard = "tf.iam-wildcard";
    let policy = "resource \"aws_iam_policy\" \"a\" {\n  policy = jsonencode({ Statement = [{ Effect = \"EFFECT\", Action = ACTION, Resource = \"RESOURCE\" }] })\n}\n";
    let with = |effect: &str, action: &str, resource: &str| {
        policy.replace("EFFECT", effect).replace("ACTION", action).replace("RESOURCE", resource)
    };
    check(&with("Allow", "\"*\"", "*"), hazard, &["policy-admin 2"]);
    check(&with("Deny", "\"*\"", "*"), hazard, &[]);
    check(&with("Allow", "[\"*\"]", "arn:aws:s3:::b"), hazard, &["policy-any-action 2"]);
    check(&with("Allow", "\"s3:PutObject\"", "*"), hazard, &["policy-any-resource 2"]);
    check(&with("Allow", "\"s3:GetObject\"", "*"), hazard, &["policy-data-anywhere 2"]);
    check(&with("Allow", "\"s3:GetObject\"", "arn:aws:s3:::b/*"), hazard, &[]);
    check(&with("Allow", "\"ec2:Describe*\"", "*"), hazard, &[]);
    check(&with("Allow", "\"logs:PutLogEvents\"", "*"), hazard, &["policy-any-resource 2"]);
    check(
        &with("Allow", "[\"iam:Pass*\", \"ec2:RunInstances\"]", "*"),
        hazard,
        &["policy-any-resource 2", "policy-privilege-escalation 2"],
    );
    check(&with("Allow", "\"sts:AssumeRole\"", "arn:aws:iam::1:role/r"), "tf.hardcoded-secret", &[]);
    check(&with("Allow", "\"iam:CreateAccessKey\"", "*"), "tf.hardcoded-secret", &["policy-credentials 2"]);
    check(
        "data \"aws_iam_policy_document\" \"a\" {\n  statement {\n    actions   = [\"*\"]\n    resources = [\"*\"]\n  }\n}\n",
        hazard,
        &["policy-admin 3"],
    );
    let queue = "resource \"aws_sqs_queue_policy\" \"a\" {\n  policy = <<P\n{ \"Statement\": [{ \"Effect\": \"Allow\", \"Principal\": \"*\", \"Action\": \"sqs:SendMessage\"X }] }\nP\n}\n";
    check(&queue.replace('X', ""), "tf.public-endpoint", &["policy-public 2"]);
    check(&queue.replace('X', ", \"Condition\": {}"), "tf.public-endpoint", &[]);
    // What the provider refuses is never in force.
    check(&queue.replace('X', ","), "tf.public-endpoint", &[]);
}

#[test]
fn who_may_take_on_a_role_is_said() {
    let role = "resource \"aws_iam_role\" \"a\" {\n  assume_role_policy = jsonencode({ Statement = [{ Effect = \"Allow\", Action = \"sts:AssumeRole\", Principal = { KIND = \"X\" } MORE }] })\n}\n";
    let of = |kind: &str, who: &str, more: &str| role.replace("KIND", kind).replace('X', who).replace("MORE", more);
    let (anybody, account) = ("aws.role-anybody-may-assume", "aws.role-account-may-assume");
    check_file(anybody, &of("AWS", "*", ""), &[(2, High)]);
    check_file(anybody, &of("AWS", "*", ", Condition = { Bool = {} }"), &[]);
    check_file(anybody, &of("Service", "ec2.amazonaws.com", ""), &[]);
    for (who, found) in [
        ("arn:aws:iam::123456789012:root", true),
        ("123456789012", true),
        ("arn:aws:iam::123456789012:role/r", false),
        ("${var.account}", false),
    ] {
        let expected: &[(u32, Severity)] = if found { &[(2, Info)] } else { &[] };
        check_file(account, &of("AWS", who, ""), expected);
        check_file(anybody, &of("AWS", who, ""), &[]);
    }
}

#[test]
fn a_policy_names_whom_it_lets_in_and_to_which_data() {
    let document = "data \"aws_iam_policy_document\" \"a\" {\n  statement {\n    actions = [\"sqs:SendMessage\"]\n    principals {\n      type = \"KIND\"\n      identifiers = [\"X\"]\n    }\n  }\n}\n";
    let of = |kind: &str, who: &str| document.replace("KIND", kind).replace('X', who);
    let public = "aws.policy-document-public";
    check_file(public, &of("AWS", "*"), &[(3, Low)]);
    check_file(public, &of("*", "*"), &[(3, Low)]);
    check_file(public, &of("AWS", "arn:aws:iam::1:role/r"), &[]);
    check_file(public, &of("Service", "*"), &[]);
    check_file(public, &of("AWS", "*").replace("    principals", "    condition {\n    }\n    principals"), &[]);
    let policy = "resource \"aws_iam_policy\" \"a\" {\n  policy = jsonencode({ Statement = [{ Effect = \"Allow\", Action = \"A\", Resource = \"R\" }] })\n}\n";
    let of = |action: &str, resource: &str| {
        policy.replace("\"A\"", &format!("\"{action}\"")).replace("\"R\"", &format!("\"{resource}\""))
    };
    let data = "aws.policy-data-anywhere";
    check_file(data, &of("s3:Get*", "*"), &[(2, Low)]);
    check_file(data, &of("secretsmanager:GetSecretValue", "*"), &[(2, Low)]);
    check_file(data, &of("s3:GetObject", "arn:aws:s3:::b/*"), &[]);
    check_file(data, &of("s3:ListBucket", "*"), &[]);
}

#[test]
fn a_role_for_workflows_names_their_repository() {
    let role = "data \"aws_iam_policy_document\" \"a\" {\n  statement {\n    actions = [\"sts:AssumeRoleWithWebIdentity\"]\n    principals {\n      type = \"Federated\"\n      identifiers = [\"arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com\"]\n    }\n    condition {\n      test = \"StringLike\"\n      variable = \"token.actions.githubusercontent.com:sub\"\n      values = [\"X\"]\n    }\n  }\n}\n";
    for (subject, expected) in [
        ("repo:*", true),
        ("*", true),
        ("environment:production", true),
        ("repo:owner/*", false),
        ("repo:owner/name:ref:refs/heads/main", false),
    ] {
        let found: &[&str] = if expected { &["github-oidc-any-repository 11"] } else { &[] };
        check(&role.replace('X', subject), "tf.auth-off", found);
    }
}

#[test]
fn lists_of_whole_networks_are_read_in_order() {
    let rule = "terraform.open-ingress";
    let list = |rules: &str| format!("resource \"aws_network_acl\" \"a\" {{\n{rules}}}\n");
    let entry = |number: u32, action: &str, port: &str| {
        format!(
            "  ingress {{\n    rule_no = {number}\n    action = \"{action}\"\n    cidr_block = \"0.0.0.0/0\"\n    from_port = {port}\n    to_port = {port}\n  }}\n"
        )
    };
    check_file(rule, &list(&entry(1, "allow", "22")), &[(5, Low)]);
    check_file(rule, &list(&entry(1, "allow", "443")), &[]);
    check_file(rule, &list(&(entry(2, "allow", "22") + &entry(1, "deny", "22"))), &[]);
    check_file(rule, &list(&(entry(1, "allow", "22") + &entry(2, "deny", "22"))), &[(5, Low)]);
    let own = "resource \"aws_network_acl_rule\" \"a\" {\n  egress = E\n  protocol = \"-1\"\n  rule_action = \"allow\"\n  cidr_block = \"0.0.0.0/0\"\n}\n";
    check_file(rule, &own.replace('E', "false"), &[(5, Low)]);
    check_file(rule, &own.replace('E', "true"), &[]);
    let ncloud = "resource \"ncloud_network_acl_rule\" \"a\" {\n  inbound {\n    rule_action = \"X\"\n    ip_block = \"0.0.0.0/0\"\n    port_range = \"20-22\"\n  }\n}\n";
    check_file(rule, &ncloud.replace('X', "ALLOW"), &[(4, Low)]);
    check_file(rule, &ncloud.replace('X', "DROP"), &[]);
    let oci = "resource \"oci_core_network_security_group_security_rule\" \"a\" {\n  direction = \"X\"\n  protocol = \"6\"\n  source = \"0.0.0.0/0\"\n  tcp_options {\n    destination_port_range {\n      min = 22\n      max = 22\n    }\n  }\n}\n";
    check_file(rule, &oci.replace('X', "INGRESS"), &[(4, High)]);
    check_file(rule, &oci.replace('X', "INGRESS").replace("22", "443"), &[]);
    check_file(rule, &oci.replace('X', "EGRESS"), &[]);
    let openstack = "resource \"openstack_compute_secgroup_v2\" \"a\" {\n  rule {\n    ip_protocol = \"X\"\n    from_port = 22\n    to_port = 22\n    cidr = \"0.0.0.0/0\"\n  }\n}\n";
    check_file(rule, &openstack.replace('X', "tcp"), &[(6, High)]);
    check_file(rule, &openstack.replace('X', "icmp"), &[]);
    let tencent = "resource \"tencentcloud_security_group_rule_set\" \"a\" {\n  ingress {\n    action = \"X\"\n    cidr_block = \"0.0.0.0/0\"\n    port = \"ALL\"\n  }\n}\n";
    check_file(rule, &tencent.replace('X', "ACCEPT"), &[(4, High)]);
    check_file(rule, &tencent.replace('X', "DROP"), &[]);
}

#[test]
fn ports_open_to_everybody_are_found() {
    let rule = "terraform.open-ingress";
    let group = |body: &str| format!("resource \"aws_security_group\" \"a\" {{\n{body}\n}}\n");
    let ingress = |port: &str| {
        group(&format!(
            "  ingress {{\n    from_port = {port}\n    to_port = {port}\n    cidr_blocks = [\"0.0.0.0/0\"]\n  }}"
        ))
    };
    check_file(rule, &ingress("22"), &[(5, High)]);
    check_file(rule, &ingress("443"), &[]);
    check_file(rule, &ingress("var.port"), &[(5, Medium)]);
    check_file(rule, &ingress("22").replace("ingress", "egress"), &[]);
    check_file(rule, &ingress("22").replace("0.0.0.0/0", "10.0.0.0/8"), &[]);
    check_file(
        rule,
        &group("  ingress = [{ from_port = 22, to_port = 22, cidr_blocks = [\"0.0.0.0/0\"] }]"),
        &[(2, High)],
    );
    check_file(
        rule,
        &group(
            "  dynamic \"ingress\" {\n    for_each = var.x\n    content {\n      protocol = \"-1\"\n      ipv6_cidr_blocks = [\"::/0\"]\n    }\n  }",
        ),
        &[(6, High)],
    );
    check_file(
        rule,
        "resource \"aws_security_group_rule\" \"a\" {\n  type = \"ingress\"\n  from_port = 5432\n  to_port = 5432\n  cidr_blocks = [\"0.0.0.0/0\"]\n}\n",
        &[(5, High)],
    );
    let firewall = "resource \"google_compute_firewall\" \"a\" {\n  allow {\n    protocol = \"tcp\"\n    ports = [\"X\"]\n  }\n  source_ranges = [\"0.0.0.0/0\"]\n}\n";
    check_file(rule, &firewall.replace('X', "22"), &[(6, High)]);
    check_file(rule, &firewall.replace('X', "3000-4000"), &[(6, High)]);
    check_file(rule, &firewall.replace('X', "80"), &[(6, Low)]);
    check_file(rule, &firewall.replace('X', "443"), &[]);
    let azure = "resource \"azurerm_network_security_rule\" \"a\" {\n  direction = \"Inbound\"\n  access = \"Allow\"\n  source_address_prefix = \"*\"\n  destination_port_range = \"22\"\n}\n";
    check_file(rule, azure, &[(4, High)]);
    check_file(rule, &azure.replace("Allow", "Deny"), &[]);
    let hunk = "   ingress {\n     from_port = 22\n     to_port = 22\n-    cidr_blocks = [\"10.0.0.0/8\"]\n+    cidr_blocks = [\"0.0.0.0/0\"]\n   }";
    check_hunk(rule, hunk, &[(13, High)]);
    check_hunk(rule, "     to_port = 22\n+    cidr_blocks = [\"0.0.0.0/0\"]\n   }", &[]);
    check_file(rule, "resource \"aws_route\" \"a\" {\n  destination_cidr_block = \"0.0.0.0/0\"\n}\n", &[]);
}

#[test]
fn pods_are_judged_wherever_they_are_specified() {
    let pod = "resource \"kubernetes_pod_v1\" \"a\" {\n  spec {\n    container {\n      security_context {\n        privileged = true\n      }\n    }\n  }\n}\n";
    check(pod, "k8s.privileged", &["pod-privileged 5"]);
    let deployment = "resource \"kubernetes_deployment\" \"a\" {\n  spec {\n    template {\n      spec {\n        host_network = true\n        container {\n          name = \"a\"\n          resources {\n            limits = {\n              cpu = \"1\"\n            }\n          }\n        }\n      }\n    }\n  }\n}\n";
    check(deployment, "k8s.host-namespace", &["pod-host-network 5"]);
    check(deployment, "k8s.no-limits", &["pod-limits-memory 9", "pod-requests-cpu 8", "pod-requests-memory 8"]);
    let context = "resource \"kubernetes_pod\" \"a\" {\n  spec {\n    container {\n      security_context {\n        X\n      }\n    }\n  }\n}\n";
    let hazard = "k8s.capabilities";
    check(&context.replace('X', ""), hazard, &["pod-capabilities 4"]);
    check(&context.replace('X', "capabilities {\n drop = [\"ALL\"]\n }"), hazard, &[]);
    check(&context.replace('X', "capabilities {\n drop = [\"MKNOD\"]\n }"), hazard, &["pod-capabilities-drop 6"]);
    let added = ["pod-capabilities-add 6", "pod-capabilities-add-root 6"];
    check(&context.replace('X', "capabilities {\n add = [\"SYS_ADMIN\"]\n }"), hazard, &added);
    check(
        "resource \"kubernetes_role\" \"a\" {\n  rule {\n    verbs = [\"*\"]\n  }\n}\n",
        "k8s.rbac-wildcard",
        &["role-rule-verbs 3"],
    );
}

#[test]
fn secrets_in_the_configuration_are_found_and_not_shown() {
    let key = concat!("AKIA", "Q3EGRIPFWTZL7NXB");
    let text =
        format!("resource \"aws_instance\" \"a\" {{\n  user_data = <<EOF\nexport AWS_ACCESS_KEY_ID={key}\nEOF\n}}\n");
    check_file("terraform.secret-in-user-data", &text, &[(3, High)]);
    let analysis = sample::scan(vec![sample::added("infra/main.tf", &text)]);
    assert!(analysis.findings.iter().all(|finding| !finding.excerpt.contains(key)), "{:?}", analysis.findings);
    check_file("terraform.secret-in-user-data", &text.replace(key, "${var.key}"), &[]);
    let provider = format!("provider \"aws\" {{\n  access_key = \"{key}\"\n}}\n");
    check_file("terraform.secret-in-provider", &provider, &[(2, High)]);
    check_file(
        "terraform.secret-in-provider",
        "provider \"aws\" {\n  access_key = \"mock_access_key\"\n  region = \"eu\"\n}\n",
        &[],
    );
    let function = format!(
        "resource \"aws_lambda_function\" \"a\" {{\n  environment {{\n    variables = {{\n      key = \"{key}\"\n    }}\n  }}\n}}\n"
    );
    check_file("terraform.secret-in-environment", &function, &[(4, High)]);
    for reference in ["local.scim_endpoint_access_token", "random_password.database_of_users.result"] {
        let function = function.replace(&format!("key = \"{key}\""), &format!("ACCESS_TOKEN = {reference}"));
        check_file("terraform.secret-in-environment", &function, &[]);
    }
}

#[test]
fn in_a_changed_file_only_what_changed_is_said() {
    let rule = "aws.db-instance-storage-encrypted";
    let hunk = " resource \"aws_db_instance\" \"a\" {\n   name = \"a\"\n-  storage_encrypted = true\n+  storage_encrypted = false\n }";
    check_hunk(rule, hunk, &[(12, Medium)]);
    // Another line changed, and what lacks was lacking before.
    check_hunk(rule, " resource \"aws_db_instance\" \"a\" {\n+  name = \"a\"\n   storage_encrypted = false\n }", &[]);
    check_hunk(rule, " resource \"aws_db_instance\" \"a\" {\n+  name = \"a\"\n }", &[]);
    // A resource that is new as a whole.
    check_hunk(rule, " x {\n }\n+resource \"aws_db_instance\" \"a\" {\n+  name = \"a\"\n+}", &[(12, Medium)]);
    // Of which resource it is cannot be seen, or not whether it goes on.
    check_hunk(rule, "   name = \"a\"\n+  storage_encrypted = false\n }", &[]);
    check_hunk(rule, "+resource \"aws_db_instance\" \"a\" {\n+  name = \"a\"", &[]);
}

#[test]
fn protection_that_is_taken_away_is_found() {
    let rule = "terraform.protection-removed";
    let database = " resource \"aws_db_instance\" \"a\" {\n   name = \"a\"\n";
    check_hunk(
        rule,
        &format!("{database}-  deletion_protection = true\n+  deletion_protection = false\n }}"),
        &[(12, High)],
    );
    check_hunk(
        rule,
        " resource \"aws_lb\" \"a\" {\n-  enable_deletion_protection = true\n+  enable_deletion_protection = false\n }",
        &[(11, Medium)],
    );
    check_hunk(
        rule,
        &format!("{database}-  deletion_protection = true\n+  deletion_protection = true # kept\n }}"),
        &[],
    );
    check_hunk(rule, &format!("{database}-  deletion_protection = false\n }}"), &[]);
    check_hunk(
        rule,
        &format!("{database}-  lifecycle {{ prevent_destroy = true }}\n+  lifecycle {{}}\n }}"),
        &[(12, High)],
    );
    check_hunk(rule, "-resource \"aws_db_instance\" \"a\" {\n-  deletion_protection = true\n-}", &[]);
    let analysis = sample::scan(vec![sample::modified(
        "main.tf",
        " resource \"aws_s3_bucket\" \"a\" {\n   lifecycle {\n-    prevent_destroy = true\n   }\n }",
    )]);
    assert_eq!(analysis.findings.len(), 1, "{:?}", analysis.findings);
}

#[test]
fn what_only_a_function_can_see_is_seen() {
    let bucket =
        "resource \"google_storage_bucket\" \"a\" {\n  name = \"logs\"\n  logging {\n    log_bucket = \"X\"\n  }\n}\n";
    check_file("google.storage-bucket-logs-to-itself", &bucket.replace('X', "logs"), &[(4, Low)]);
    check_file("google.storage-bucket-logs-to-itself", &bucket.replace('X', "others"), &[]);
    let rotation = "resource \"aws_secretsmanager_secret_rotation\" \"a\" {\n  rotation_rules {\n    schedule_expression = \"rate(X days)\"\n  }\n}\n";
    check_file("aws.secret-rotation-too-rare", &rotation.replace('X', "120"), &[(3, Low)]);
    check_file("aws.secret-rotation-too-rare", &rotation.replace('X', "30"), &[]);
    let member = "resource \"google_project_iam_member\" \"a\" {\n  role = \"roles/X\"\n  member = \"serviceAccount:a@p.iam.gserviceaccount.com\"\n}\n";
    check_file("google.service-account-admin", &member.replace('X', "editor"), &[(2, Medium)]);
    check_file("google.service-account-admin", &member.replace('X', "storage.objectViewer"), &[]);
    for (engine, version, expected) in [
        ("postgres", "13.2", true),
        ("postgres", "13.3", false),
        ("postgres", "9.6.21", true),
        ("postgres", "9.6.22", false),
        ("postgres", "14.1", false),
        ("postgres", "13", false),
        ("aurora-postgresql", "11.8", true),
        ("aurora-postgresql", "12.4", false),
        ("mysql", "5.7", false),
    ] {
        let text = format!(
            "resource \"aws_db_instance\" \"a\" {{\n  engine = \"{engine}\"\n  engine_version = \"{version}\"\n}}\n"
        );
        let found: &[_] = if expected { &[(3, Medium)] } else { &[] };
        check_file("aws.postgres-version-with-a-hole", &text, found);
    }
    let provider = "resource \"google_iam_workload_identity_pool_provider\" \"a\" {\n  X\n  oidc {\n    issuer_uri = \"https://token.actions.githubusercontent.com\"\n  }\n}\n";
    check_file("google.github-oidc-any-repository", &provider.replace('X', ""), &[(1, Medium)]);
    let bound = "attribute_condition = \"assertion.sub == 'repo:owner/name:ref:refs/heads/main'\"";
    check_file("google.github-oidc-any-repository", &provider.replace('X', bound), &[]);
}

#[test]
fn severity_is_less_for_what_is_only_a_default() {
    check_file(
        "azure.key-vault-public-network-access-enabled",
        "resource \"azurerm_key_vault\" \"a\" {\n}\n",
        &[(1, Low)],
    );
    check_file(
        "azure.key-vault-public-network-access-enabled",
        "resource \"azurerm_key_vault\" \"a\" {\n  public_network_access_enabled = true\n}\n",
        &[(2, Medium)],
    );
    check_file(
        "aws.secretsmanager-secret-kms-key-id",
        "resource \"aws_secretsmanager_secret\" \"a\" {\n}\n",
        &[(1, Info)],
    );
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in "([a-z_=\\-{}\\[\\]\"#/<$*:,. \\n0-9é]|resource \"aws_iam_policy\" \"a\" \\{\n|policy = |jsonencode\\(|<<EOF\n|EOF\n|\\$\\{|\"aws_security_group\"|ingress|\"0.0.0.0/0\"){0,80}") {
        let _ = check_all(&text);
    }

    #[test]
    fn no_cut_of_a_file_is_too_strange(from in 0_usize..400, length in 0_usize..400) {
        let text = "resource \"aws_iam_policy\" \"é\" {\n  policy = <<EOF\n{ \"Statement\": [{ \"Action\": \"*\", \"Resource\": [\"*\"] }] }\nEOF\n}\nresource \"aws_security_group\" \"a\" {\n  ingress = [{ cidr_blocks = [\"0.0.0.0/0\"], from_port = 22 }]\n  tags = { for k, v in var.é : k => \"${v}\" }\n}\nprovider \"aws\" {\n  access_key = \"x\"\n}\n";
        let cut: String = text.chars().skip(from).take(length).collect();
        let _ = check_all(&cut);
    }
}

fn check_all(text: &str) -> usize {
    super::check(&sample::added("main.tf", text)).len()
}

#[test]
fn deep_and_long_texts_are_read_in_time() {
    for piece in
        ["a {", "a = [", "a = {", "{a{", "a = \"${", "a = jsonencode(", "a = [{\"b\":", "resource \"x\" \"y\" {\n"]
    {
        let _ = check_all(&piece.repeat(20_000));
    }
    let many = "resource \"aws_security_group\" \"a\" {\n  ingress {\n    cidr_blocks = [\"0.0.0.0/0\"]\n    from_port = 22\n    to_port = 22\n  }\n}\n";
    assert!(check_all(&many.repeat(2_000)) >= 2_000);
}
