//! Ports that a rule of a firewall opens to the whole internet.

use domain::Severity;

use super::parse::{Attribute, Block, Value};
use super::{Hit, address, each, field, plain, resource_type};

const RULE: &str = "infrastructure.terraform.open-ingress";

/// Ports behind which something lies that is nobody's business on the internet: remote shells and desktops, file shares,
/// databases, caches, queues and the doors of clusters.
const DELICATE: &[u32] = &[
    20, 21, 22, 23, 111, 135, 137, 138, 139, 389, 445, 512, 513, 514, 873, 1433, 1434, 1521, 2049, 2375, 2376, 2379,
    2380, 3306, 3389, 4505, 4506, 5432, 5439, 5601, 5672, 5900, 5984, 5985, 5986, 6379, 6443, 7000, 7001, 8086, 9042,
    9092, 9200, 9300, 10250, 11211, 15672, 27017, 27018, 27019,
];

/// One rule as far as it matters.
struct Opening<'a> {
    /// The attribute that names everybody.
    sources: &'a Attribute,
    ports: Ports,
}

enum Ports {
    All,
    /// Ranges from and to.
    These(Vec<(u32, u32)>),
    Unknown,
}

pub(super) fn check(block: &Block, _: &str, hits: &mut Vec<Hit>) {
    match resource_type(block) {
        "aws_security_group" | "aws_default_security_group" => aws_group(block, hits),
        "aws_security_group_rule" if plain(block, "type") == Some("ingress") => aws(block, hits),
        "aws_vpc_security_group_ingress_rule" => aws(block, hits),
        "google_compute_firewall" if plain(block, "direction").is_none_or(|way| way == "INGRESS") => {
            google(block, hits)
        }
        "azurerm_network_security_rule" => azure(block, hits),
        "azurerm_network_security_group" => block.blocks("security_rule").for_each(|rule| azure(rule, hits)),
        "alicloud_security_group_rule" if plain(block, "type") == Some("ingress") => alicloud(block, hits),
        "openstack_networking_secgroup_rule_v2" if plain(block, "direction") == Some("ingress") => {
            openstack(block, hits)
        }
        "openstack_compute_secgroup_v2" => block.blocks("rule").for_each(|rule| openstack(rule, hits)),
        "oci_core_network_security_group_security_rule" if plain(block, "direction") == Some("INGRESS") => {
            oci(block, hits);
        }
        "oci_core_security_list" => block.blocks("ingress_security_rules").for_each(|rule| oci(rule, hits)),
        "yandex_vpc_security_group" => block.blocks("ingress").for_each(|rule| yandex(rule, hits)),
        "yandex_vpc_security_group_rule" if plain(block, "direction") == Some("ingress") => yandex(block, hits),
        "ncloud_access_control_group_rule" => block.blocks("inbound").for_each(|rule| ncloud(rule, hits)),
        "ncloud_network_acl_rule" => {
            let allows = |rule: &&Block| plain(rule, "rule_action") == Some("ALLOW");
            softly(hits, |hits| block.blocks("inbound").filter(allows).for_each(|rule| ncloud(rule, hits)));
        }
        "tencentcloud_security_group_rule_set" => block.blocks("ingress").for_each(|rule| tencent(rule, hits)),
        "aws_network_acl" => softly(hits, |hits| aws_acl(block.blocks("ingress"), hits)),
        "aws_network_acl_rule" if plain(block, "egress") != Some("true") => {
            softly(hits, |hits| aws_acl(std::iter::once(block), hits));
        }
        // A hunk that shows the rule and not its group.
        "" if block.kind == "ingress" => aws(block, hits),
        _ => {}
    }
}

fn report(block: &Block, opening: &Opening<'_>, hits: &mut Vec<Hit>) {
    let (severity, what) = match &opening.ports {
        Ports::All => (Severity::High, "every port".to_owned()),
        Ports::Unknown => (Severity::Medium, "a port".to_owned()),
        Ports::These(ranges) => {
            let delicate = DELICATE.iter().find(|port| ranges.iter().any(|(from, to)| (*from..=*to).contains(port)));
            match delicate {
                Some(port) => (Severity::High, format!("port {port}")),
                // A public site without TLS is often there to lead to the one with it.
                None if ranges.contains(&(80, 80)) && block.kind == "resource" && is_google(block) => {
                    (Severity::Low, "port 80".to_owned())
                }
                None => return,
            }
        }
    };
    let message = format!("{}: {what} is open to the whole internet", address(block));
    hits.push(Hit::at(RULE, opening.sources.range.clone(), message).severity(severity));
}

fn is_google(block: &Block) -> bool {
    resource_type(block) == "google_compute_firewall"
}

/// The attribute of these that lets everybody in.
fn everybody<'a>(block: &'a Block, names: &[&str]) -> Option<&'a Attribute> {
    names
        .iter()
        .filter_map(|name| block.attribute(name))
        .find(|attribute| each(&attribute.value).iter().any(|value| value.plain().is_some_and(is_everybody)))
}

fn is_everybody(text: &str) -> bool {
    const EVERYBODY: [&str; 9] = [
        "0.0.0.0/0",
        "::/0",
        "*",
        "0.0.0.0",
        "<nw>/0",
        "/0",
        "any",
        "internet",
        "0000:0000:0000:0000:0000:0000:0000:0000/0",
    ];
    EVERYBODY.iter().any(|everybody| text.eq_ignore_ascii_case(everybody))
}

fn number(value: Option<&Value>) -> Option<u32> {
    value.and_then(Value::plain).and_then(|text| text.trim().parse().ok())
}

/// `from` to `to`, where both are known.
fn from_to(from: Option<&Value>, to: Option<&Value>) -> Ports {
    match (number(from), number(to.or(from))) {
        (Some(0), Some(0 | 65_535)) => Ports::All,
        (Some(from), Some(to)) => Ports::These(vec![(from, to)]),
        _ => Ports::Unknown,
    }
}

/// Ranges as text: `22`, `1-65535`, `22/22`, `*`.
fn written(value: Option<&Value>, between: char) -> Ports {
    let Some(value) = value else { return Ports::Unknown };
    let mut ranges = Vec::new();
    for value in each(value) {
        let Some(text) = value.plain() else { return Ports::Unknown };
        if matches!(text.trim(), "*" | "-1/-1" | "0-65535" | "1-65535" | "1/65535") {
            return Ports::All;
        }
        let (from, to) = text.split_once(between).unwrap_or((text, text));
        match (from.trim().parse(), to.trim().parse()) {
            (Ok(from), Ok(to)) => ranges.push((from, to)),
            _ => return Ports::Unknown,
        }
    }
    Ports::These(ranges)
}

fn value<'a>(block: &'a Block, name: &str) -> Option<&'a Value> {
    block.attribute(name).map(|attribute| &attribute.value)
}

fn is_all(protocol: Option<&str>) -> bool {
    protocol.is_some_and(|protocol| matches!(protocol.to_ascii_lowercase().as_str(), "-1" | "all" | "any"))
}

fn aws_group(block: &Block, hits: &mut Vec<Hit>) {
    for rule in block.blocks("ingress") {
        aws(rule, hits);
    }
    // `ingress = [{ … }]`
    let Some(attribute) = block.attribute("ingress") else { return };
    for rule in each(&attribute.value) {
        let open = ["cidr_blocks", "ipv6_cidr_blocks"].iter().filter_map(|name| field(rule, name));
        let open = open.flat_map(each).any(|value| value.plain().is_some_and(is_everybody));
        if open {
            let ports = if is_all(field(rule, "protocol").and_then(Value::plain)) {
                Ports::All
            } else {
                from_to(field(rule, "from_port"), field(rule, "to_port"))
            };
            report(block, &Opening { sources: attribute, ports }, hits);
        }
    }
}

fn aws(block: &Block, hits: &mut Vec<Hit>) {
    let names = ["cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6"];
    let Some(sources) = everybody(block, &names) else { return };
    let protocol = plain(block, "protocol").or(plain(block, "ip_protocol"));
    let ports = match protocol {
        protocol if is_all(protocol) => Ports::All,
        Some("icmp" | "icmpv6" | "1" | "58") => return,
        _ => from_to(value(block, "from_port"), value(block, "to_port")),
    };
    report(block, &Opening { sources, ports }, hits);
}

fn google(block: &Block, hits: &mut Vec<Hit>) {
    let Some(sources) = everybody(block, &["source_ranges"]) else { return };
    // Of several blocks `allow` the worst counts.
    let mut all = Vec::new();
    let mut unknown = false;
    for allow in block.blocks("allow") {
        let ports = match (plain(allow, "protocol"), value(allow, "ports")) {
            (Some("icmp" | "esp" | "ah" | "ipip"), _) => continue,
            (_, None) => Ports::All,
            (_, ports) => written(ports, '-'),
        };
        match ports {
            Ports::All => return report(block, &Opening { sources, ports: Ports::All }, hits),
            Ports::These(ranges) => all.extend(ranges),
            Ports::Unknown => unknown = true,
        }
    }
    if !all.is_empty() {
        report(block, &Opening { sources, ports: Ports::These(all) }, hits);
    } else if unknown {
        report(block, &Opening { sources, ports: Ports::Unknown }, hits);
    }
}

fn azure(block: &Block, hits: &mut Vec<Hit>) {
    let is = |name, wanted: &str| plain(block, name).is_some_and(|value| value.eq_ignore_ascii_case(wanted));
    if !is("direction", "Inbound") || is("access", "Deny") || is("protocol", "Icmp") {
        return;
    }
    let Some(sources) = everybody(block, &["source_address_prefix", "source_address_prefixes"]) else { return };
    let ports = value(block, "destination_port_range").or(value(block, "destination_port_ranges"));
    report(block, &Opening { sources, ports: written(ports, '-') }, hits);
}

fn alicloud(block: &Block, hits: &mut Vec<Hit>) {
    let Some(sources) = everybody(block, &["cidr_ip"]) else { return };
    let all = is_all(plain(block, "ip_protocol"));
    let ports = if all { Ports::All } else { written(value(block, "port_range"), '/') };
    report(block, &Opening { sources, ports }, hits);
}

fn openstack(block: &Block, hits: &mut Vec<Hit>) {
    let Some(sources) = everybody(block, &["remote_ip_prefix", "cidr"]) else { return };
    if plain(block, "ip_protocol") == Some("icmp") {
        return;
    }
    let of = |name, older| value(block, name).or(value(block, older));
    let ports = from_to(of("port_range_min", "from_port"), of("port_range_max", "to_port"));
    report(block, &Opening { sources, ports }, hits);
}

fn oci(block: &Block, hits: &mut Vec<Hit>) {
    let Some(sources) = everybody(block, &["source"]) else { return };
    let options = block.blocks("tcp_options").chain(block.blocks("udp_options")).next();
    let ports = match options {
        _ if is_all(plain(block, "protocol")) => Ports::All,
        Some(options) => {
            let range = options.blocks("destination_port_range").next().unwrap_or(options);
            from_to(value(range, "min"), value(range, "max"))
        }
        None => Ports::Unknown,
    };
    report(block, &Opening { sources, ports }, hits);
}

fn yandex(block: &Block, hits: &mut Vec<Hit>) {
    let Some(sources) = everybody(block, &["v4_cidr_blocks", "v6_cidr_blocks"]) else { return };
    let ports = match number(value(block, "port")) {
        Some(port) => Ports::These(vec![(port, port)]),
        None if block.attribute("port").is_none() && block.attribute("from_port").is_none() => Ports::All,
        None => from_to(value(block, "from_port"), value(block, "to_port")),
    };
    report(block, &Opening { sources, ports }, hits);
}

fn ncloud(block: &Block, hits: &mut Vec<Hit>) {
    let Some(sources) = everybody(block, &["ip_block"]) else { return };
    report(block, &Opening { sources, ports: written(value(block, "port_range"), '-') }, hits);
}

fn tencent(block: &Block, hits: &mut Vec<Hit>) {
    if plain(block, "action") != Some("ACCEPT") {
        return;
    }
    let Some(sources) = everybody(block, &["cidr_block", "ipv6_cidr_block"]) else { return };
    let every = block.attribute("port").is_none() || is_all(plain(block, "port"));
    let ports = if every { Ports::All } else { written(value(block, "port"), '-') };
    report(block, &Opening { sources, ports }, hits);
}

/// The rules of a network's list, in the order in which AWS asks them. What a rule forbids everybody the later ones cannot
/// open, so behind the first such rule nothing is certain.
fn aws_acl<'a>(rules: impl Iterator<Item = &'a Block>, hits: &mut Vec<Hit>) {
    let number = |rule: &&Block| number(value(rule, "rule_no").or(value(rule, "rule_number")));
    let mut rules: Vec<_> = rules.collect();
    rules.sort_by_key(number);
    for rule in rules {
        let Some(sources) = everybody(rule, &["cidr_block", "ipv6_cidr_block"]) else { continue };
        match plain(rule, "action").or(plain(rule, "rule_action")) {
            Some("allow") => {}
            _ => return,
        }
        let ports = match plain(rule, "protocol") {
            protocol if is_all(protocol) => Ports::All,
            Some("icmp" | "icmpv6" | "1" | "58") => continue,
            _ => from_to(value(rule, "from_port"), value(rule, "to_port")),
        };
        report(rule, &Opening { sources, ports }, hits);
    }
}

/// A list of a whole network is one of several doors: what it opens is worth a note.
fn softly(hits: &mut Vec<Hit>, check: impl FnOnce(&mut Vec<Hit>)) {
    let before = hits.len();
    check(hits);
    for hit in &mut hits[before..] {
        hit.severity = Some(Severity::Low);
    }
}
