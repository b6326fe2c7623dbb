//! A port that Terraform opens to the whole internet.

use std::sync::LazyLock;

use domain::diff::FileDiff;
use domain::{Category, Confidence, Severity};
use regex::Regex;

use super::hcl::{Block, attribute, enclosing};
use super::is_terraform;
use crate::new_side::NewSide;
use crate::rules::{Check, FileHit, Rule};
use crate::source::{Syntax, code_only};

/// The rule.
pub static RULE: Rule = Rule {
    id: "infrastructure.terraform.open-ingress",
    title: "Port open to the internet",
    severity: Severity::High,
    confidence: Confidence::High,
    category: Category::Infrastructure,
    cwe: 284,
    hazard: "tf.open-ingress",
    keywords: &["0.0.0.0/0", "::/0"],
    remediation: "Name the networks that may come in, or put a load balancer or a bastion host before the port.",
    references: &[
        "https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/security_group",
        "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-best-practices.html",
        "https://registry.terraform.io/providers/hashicorp/google/latest/docs/resources/compute_firewall",
    ],
    aliases: &[],
    check: Check::File { applies: is_terraform, check },
};

static ANYWHERE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""(?:0\.0\.0\.0/0|::/0)""#).expect("the pattern is tested"));

fn check(file: &FileDiff<'_>) -> Vec<FileHit> {
    let mut hits: Vec<FileHit> = Vec::new();
    for (number, hunk) in file.hunks.iter().enumerate() {
        let side = NewSide::of(hunk);
        let code = code_only(&side.text, Syntax::Hcl);
        for found in ANYWHERE.find_iter(&side.text) {
            // In a comment its quotes are blank.
            let in_comment = code.as_bytes()[found.start()] != b'"';
            let line = side.first_added(found.range());
            let Some(line) =
                line.filter(|line| !in_comment && hits.iter().all(|hit| hit.line != Some((number, *line))))
            else {
                continue;
            };
            if let Some(severity) = severity(&side.text, &code, found.start()) {
                hits.push(
                    FileHit::on_line(file, number, line, "the rule lets the whole internet in").severity(severity),
                );
            }
        }
    }
    hits
}

/// How bad it is that the block around this byte lets everybody in; `None` when it does not, or when it cannot be seen.
fn severity(text: &str, code: &str, byte: usize) -> Option<Severity> {
    let blocks = enclosing(text, code, byte);
    let inner = blocks.first()?;
    // `dynamic "ingress"` has its rule in a block `content`.
    let rule = if inner.header == "content" { blocks.get(1)? } else { inner };
    let header = rule.header.replace("dynamic ", "").replace('"', "");
    let mut words = header.split_whitespace();
    let get = |name: &str| attribute(text, code, inner, name);
    let comes_in = match (words.next()?, words.next()) {
        ("ingress", _) => true,
        ("resource", Some("aws_security_group_rule")) => get("type") == Some("\"ingress\""),
        ("resource", Some("aws_vpc_security_group_ingress_rule")) => true,
        ("resource", Some("google_compute_firewall")) => {
            get("direction").is_none_or(|direction| direction == "\"INGRESS\"")
        }
        ("resource", Some("azurerm_network_security_rule")) | ("security_rule", _) => {
            get("direction") == Some("\"Inbound\"") && get("access") != Some("\"Deny\"")
        }
        _ => false,
    };
    // Where the ports are not numbers, or elsewhere, they may be those of a public site.
    comes_in.then(|| ports(text, code, inner))?.map_or(Some(Severity::Medium), Ports::severity)
}

/// The ports that a rule opens.
struct Ports {
    from: u32,
    to: u32,
}

impl Ports {
    /// The ports of a public site are open on purpose.
    fn severity(self) -> Option<Severity> {
        let is_site = self.from == self.to && matches!(self.from, 80 | 443);
        (!is_site).then_some(Severity::High)
    }
}

fn ports(text: &str, code: &str, rule: &Block) -> Option<Ports> {
    let get = |name: &str| attribute(text, code, rule, name).map(|value| value.trim_matches('"'));
    if matches!(get("protocol").or(get("ip_protocol")), Some("-1" | "all"))
        || get("destination_port_range") == Some("*")
    {
        return Some(Ports { from: 0, to: 65_535 });
    }
    let (from, to) = match get("destination_port_range") {
        Some(range) => range.split_once('-').unwrap_or((range, range)),
        None => (get("from_port")?, get("to_port")?),
    };
    Some(Ports { from: from.trim().parse().ok()?, to: to.trim().parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn group(rule: &str) -> String {
        format!(
            "resource \"aws_security_group\" \"a\" {{\n  {rule} {{\n    from_port = 22\n    to_port = 22\n    cidr_blocks = [\"0.0.0.0/0\"]\n  }}\n}}\n"
        )
    }

    #[track_caller]
    fn check(text: &str, expected: &[(u32, Severity)]) {
        sample::finds_in_file(&RULE, "infra/main.tf", text, expected);
    }

    #[test]
    fn a_port_open_to_everybody_is_found() {
        let high = Severity::High;
        check(&group("ingress"), &[(5, high)]);
        check(&group("dynamic \"ingress\" {\n content").replace("  }\n}\n", "  }}\n}\n"), &[(6, high)]);
        check(
            "resource \"aws_security_group_rule\" \"a\" {\n  type = \"ingress\"\n  protocol = \"-1\"\n  cidr_blocks = [\"0.0.0.0/0\", \"::/0\"]\n}\n",
            &[(4, high)],
        );
        check(
            "resource \"aws_vpc_security_group_ingress_rule\" \"a\" {\n  cidr_ipv4 = \"0.0.0.0/0\"\n  from_port = 5432\n  to_port = 5432\n}\n",
            &[(2, high)],
        );
        check(
            "resource \"google_compute_firewall\" \"a\" {\n  allow {\n    ports = [\"22\"]\n  }\n  source_ranges = [\"0.0.0.0/0\"]\n}\n",
            &[(5, Severity::Medium)],
        );
        check(&group("ingress").replace("22", "var.port"), &[(5, Severity::Medium)]);
        sample::finds_in_hunk(
            &RULE,
            "infra/main.tf",
            "   ingress {\n     from_port = 22\n     to_port = 22\n-    cidr_blocks = [\"10.0.0.0/8\"]\n+    cidr_blocks = [\"0.0.0.0/0\"]\n   }",
            &[(13, high)],
        );
    }

    #[test]
    fn the_way_out_a_public_site_and_what_cannot_be_seen_are_not() {
        check(&group("egress"), &[]);
        check(&group("ingress").replace("22", "443"), &[]);
        check(&group("ingress").replace("0.0.0.0/0", "10.0.0.0/8"), &[]);
        check(&group("ingress").replace("cidr_blocks = [\"0", "# cidr_blocks = [\"0"), &[]);
        check("resource \"aws_route\" \"a\" {\n  destination_cidr_block = \"0.0.0.0/0\"\n}\n", &[]);
        sample::finds_in_hunk(
            &RULE,
            "infra/main.tf",
            "     to_port = 22\n+    cidr_blocks = [\"0.0.0.0/0\"]\n   }",
            &[],
        );
    }
}
