//! What names something that is not there: a service whose selector fits no pod, an ingress without its service.
//!
//! Only what the file itself settles is reported. A file without any workload says nothing about where its services lead.

use std::collections::HashSet;

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::objects::Workload;
use super::{Object, rule};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&SERVICE, &INGRESS, &SELECTOR, &SCALER, &NETWORK_POLICY, &ACCOUNT, &TARGET_PORT];

static SERVICE: Rule = Rule {
    hazard: "k8s.dangling-or-mismatch",
    remediation: "Make the selector and the labels of the pod template the same.",
    references: &["https://kubernetes.io/docs/concepts/services-networking/service/"],
    aliases: &["dangling-service"],
    ..rule("infrastructure.kubernetes.dangling-service", "Service that leads to no pod", Severity::Low)
};
static INGRESS: Rule = Rule {
    hazard: "k8s.dangling-or-mismatch",
    remediation: "Give the backend the name and a port of a service.",
    references: &["https://kubernetes.io/docs/concepts/services-networking/ingress/"],
    aliases: &["dangling-ingress"],
    ..rule("infrastructure.kubernetes.dangling-ingress", "Ingress that leads to no service", Severity::Low)
};
static SELECTOR: Rule = Rule {
    hazard: "k8s.dangling-or-mismatch",
    remediation: "Make spec.selector and the labels of the pod template the same.",
    references: &["https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/"],
    aliases: &["mismatching-selector"],
    ..rule(
        "infrastructure.kubernetes.mismatching-selector",
        "Workload that does not select its own pods",
        Severity::Low,
    )
};
static SCALER: Rule = Rule {
    hazard: "k8s.dangling-or-mismatch",
    remediation: "Name a workload of the file in scaleTargetRef.",
    references: &["https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/"],
    aliases: &["dangling-horizontalpodautoscaler"],
    ..rule("infrastructure.kubernetes.dangling-autoscaler", "Autoscaler of a workload that is not there", Severity::Low)
};
static NETWORK_POLICY: Rule = Rule {
    hazard: "k8s.dangling-or-mismatch",
    remediation: "Make the podSelector and the labels of the pod template the same.",
    references: &["https://kubernetes.io/docs/concepts/services-networking/network-policies/"],
    aliases: &["dangling-networkpolicy", "dangling-networkpolicypeer-podselector"],
    ..rule("infrastructure.kubernetes.dangling-network-policy", "Network policy that fits no pod", Severity::Low)
};
static ACCOUNT: Rule = Rule {
    hazard: "k8s.dangling-or-mismatch",
    remediation: "Name a service account that is there, or add it.",
    references: &["https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/"],
    aliases: &["non-existent-service-account"],
    ..rule("infrastructure.kubernetes.dangling-account", "Service account that is not there", Severity::Low)
};
static TARGET_PORT: Rule = Rule {
    hazard: "k8s.dangling-or-mismatch",
    remediation: "Name the port with at most 15 lower-case letters, digits and hyphens, at least one of them a letter; or give its number.",
    references: &["https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports"],
    aliases: &["invalid-target-ports"],
    ..rule("infrastructure.kubernetes.invalid-port-name", "Port name that Kubernetes refuses", Severity::Low)
};

/// Objects that are compared with each other: more are no file that somebody wrote.
const OBJECTS_MAX: usize = 200;

pub(super) fn check(report: &mut Report<'_, '_>, objects: &[Object<'_>], workloads: &[Workload<'_>]) {
    for object in objects {
        port_names(report, object);
        own_selector(report, object);
    }
    // A hunk does not show the other objects; nor does a chart's template.
    if !report.view.whole || objects.len() > OBJECTS_MAX || objects.iter().any(|object| !object.complete) {
        return;
    }
    let named = |kind: &str| -> HashSet<_> {
        objects
            .iter()
            .filter(|object| object.kind == kind)
            .filter_map(|object| Some((object.namespace(), object.name()?)))
            .collect()
    };
    let (services, accounts) = (named("Service"), named("ServiceAccount"));
    for object in objects {
        match object.kind {
            "Service" if !workloads.is_empty() => service(report, object, objects),
            "Ingress" if !services.is_empty() => ingress(report, object, objects),
            "HorizontalPodAutoscaler" if !workloads.is_empty() => scaler(report, object, objects),
            "NetworkPolicy" if !workloads.is_empty() => network_policy(report, object, objects),
            _ => {}
        }
        if let Some(workload) = object.workload().filter(|_| !accounts.is_empty())
            && let Some(account) = workload.spec.get("serviceAccountName").or(workload.spec.get("serviceAccount"))
            && let Some(name) = account.text().filter(|name| !name.is_empty() && *name != "default")
            && !accounts.contains(&(object.namespace(), name))
        {
            report.at(&ACCOUNT, account, "the file has service accounts, and not this one");
        }
    }
}

/// Whether labels have all that the selector names. An empty selector fits everything.
fn fits(selector: Yaml<'_>, labels: Option<Yaml<'_>>) -> bool {
    selector.entries().all(|(key, value)| {
        let label = key.text().and_then(|key| labels?.text_at(&[key]));
        label.is_some() && label == value.text()
    })
}

fn labels<'d>(workload: &Workload<'d>) -> Option<Yaml<'d>> {
    workload.metadata?.get("labels")
}

/// Whether the expressions of a selector hold for these labels.
fn expressions_hold(selector: Yaml<'_>, labels: Option<Yaml<'_>>) -> bool {
    selector.list("matchExpressions").all(|expression| {
        let label = expression.text_at(&["key"]).and_then(|key| labels?.text_at(&[key]));
        let listed = label.is_some_and(|label| expression.list("values").any(|value| value.text() == Some(label)));
        match expression.text_at(&["operator"]) {
            Some("In") => listed,
            Some("NotIn") => !listed,
            Some("Exists") => label.is_some(),
            Some("DoesNotExist") => label.is_none(),
            _ => true,
        }
    })
}

fn selects(selector: Yaml<'_>, labels: Option<Yaml<'_>>) -> bool {
    selector.get("matchLabels").is_none_or(|wanted| fits(wanted, labels)) && expressions_hold(selector, labels)
}

fn any_pod(objects: &[Object<'_>], namespace: &str, chosen: impl Fn(Option<Yaml<'_>>) -> bool) -> bool {
    let pods = objects.iter().filter(|object| object.namespace() == namespace);
    pods.filter_map(Object::workload).any(|workload| chosen(labels(&workload)))
}

fn own_selector(report: &mut Report<'_, '_>, object: &Object<'_>) {
    let Some(workload) =
        object.workload().filter(|_| object.complete && !matches!(object.kind, "Pod" | "Job" | "CronJob"))
    else {
        return;
    };
    let Some(selector) = object.root.at(&["spec", "selector"]).filter(|selector| !selector.is_empty()) else { return };
    let plain = matches!(object.kind, "ReplicationController" | "DeploymentConfig");
    let fit = if plain { fits(selector, labels(&workload)) } else { selects(selector, labels(&workload)) };
    if !fit {
        report.at(&SELECTOR, selector, "the selector does not fit the labels of the workload's own pods");
    }
}

fn service(report: &mut Report<'_, '_>, object: &Object<'_>, objects: &[Object<'_>]) {
    if object.root.text_at(&["spec", "type"]) == Some("ExternalName") {
        return;
    }
    // Without a selector the endpoints are somebody else's.
    let Some(selector) = object.root.at(&["spec", "selector"]).filter(|selector| !selector.is_empty()) else { return };
    if !any_pod(objects, object.namespace(), |labels| fits(selector, labels)) {
        report.at(&SERVICE, selector, "no pod of the file has the labels that the service selects");
    }
}

fn ingress(report: &mut Report<'_, '_>, object: &Object<'_>, objects: &[Object<'_>]) {
    let Some(spec) = object.root.get("spec") else { return };
    let paths = spec.list("rules").filter_map(|rule| rule.get("http")).flat_map(|http| http.list("paths"));
    let backends = paths.filter_map(|path| path.get("backend"));
    for backend in backends.chain(spec.get("defaultBackend")).chain(spec.get("backend")) {
        let current = backend.get("service");
        let Some(name) = current.and_then(|service| service.get("name")).or(backend.get("serviceName")) else {
            continue;
        };
        let services =
            objects.iter().filter(|other| other.kind == "Service" && other.namespace() == object.namespace());
        let mut services = services.filter(|other| other.name() == name.text());
        let port = current
            .and_then(|service| service.at(&["port", "number"]).or(service.at(&["port", "name"])))
            .or(backend.get("servicePort"));
        let Some(service) = services.next() else {
            report.at(&INGRESS, name, "the file has services, and none of this name");
            continue;
        };
        let ports = || service.root.get("spec").into_iter().flat_map(|spec| spec.list("ports"));
        let known =
            |port: Yaml<'_>| ports().any(|own| [own.text_at(&["port"]), own.text_at(&["name"])].contains(&port.text()));
        if let Some(port) = port.filter(|port| !known(*port) && ports().next().is_some()) {
            report.at(&INGRESS, port, "the service does not have this port");
        }
    }
}

fn scaler(report: &mut Report<'_, '_>, object: &Object<'_>, objects: &[Object<'_>]) {
    let Some(target) = object.root.at(&["spec", "scaleTargetRef"]) else { return };
    let (kind, name) = (target.text_at(&["kind"]), target.text_at(&["name"]));
    let same = |other: &Object<'_>| {
        Some(other.kind) == kind && other.name() == name && other.namespace() == object.namespace()
    };
    if name.is_some() && !objects.iter().any(same) {
        report.at(&SCALER, target, "the file has workloads, and not this one");
    }
}

fn network_policy(report: &mut Report<'_, '_>, object: &Object<'_>, objects: &[Object<'_>]) {
    let Some(spec) = object.root.get("spec") else { return };
    let peers = ["ingress", "egress"]
        .into_iter()
        .flat_map(|way| spec.list(way))
        .flat_map(|rule| ["from", "to"].map(|key| rule.get(key)));
    let peers = peers.flatten().flat_map(Yaml::items).filter(|peer| peer.get("namespaceSelector").is_none());
    for selector in spec.get("podSelector").into_iter().chain(peers.filter_map(|peer| peer.get("podSelector"))) {
        if !any_pod(objects, object.namespace(), |labels| selects(selector, labels)) {
            report.at(&NETWORK_POLICY, selector, "no pod of the file has the labels that the policy selects");
        }
    }
}

/// A port's name as RFC 6335 and the API server want it.
fn is_port_name(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let hyphens = name.starts_with('-') || name.ends_with('-') || name.contains("--");
    !name.is_empty() && name.len() <= 15 && plain && !hyphens && name.bytes().any(|b| b.is_ascii_lowercase())
}

fn port_names(report: &mut Report<'_, '_>, object: &Object<'_>) {
    let of_service = (object.kind == "Service").then(|| object.root.get("spec")).flatten();
    let targets = of_service.into_iter().flat_map(|spec| spec.list("ports")).filter_map(|port| port.get("targetPort"));
    let containers = object.workload().into_iter().flat_map(|workload| workload.all_containers().collect::<Vec<_>>());
    let names = containers.flat_map(|container| container.list("ports")).filter_map(|port| port.get("name"));
    for name in targets.chain(names).filter(|name| !name.is_unknown() && name.number().is_none()) {
        if name.text().is_some_and(|text| !is_port_name(text)) {
            report.at(&TARGET_PORT, name, "the API server refuses this name for a port");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec:\n  selector: {matchLabels: {app: shop}}\n  template:\n    metadata: {labels: {app: shop, tier: web}}\n    spec:\n      serviceAccountName: shop\n      containers: []\n---\n";

    #[track_caller]
    fn with(id: &str, text: &str, lines: &[u32]) {
        check(id, &format!("{DEPLOYMENT}{text}"), lines);
    }

    #[test]
    fn a_service_needs_pods_and_an_ingress_needs_a_service() {
        let service = |app: &str| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: shop}}\nspec:\n  selector: {{app: {app}}}\n  ports: [{{port: 80, name: http}}]\n"
            )
        };
        with("dangling-service", &service("shop"), &[]);
        with("dangling-service", &service("shopp"), &[16]);
        check("dangling-service", &service("shopp"), &[]);
        let ingress = |name: &str, port: &str| {
            format!(
                "{}---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nspec:\n  defaultBackend:\n    service:\n      name: {name}\n      port: {{{port}}}\n",
                service("shop")
            )
        };
        check("dangling-ingress", &ingress("shop", "number: 80"), &[]);
        check("dangling-ingress", &ingress("shop", "name: http"), &[]);
        check("dangling-ingress", &ingress("shop", "number: 81"), &[14]);
        check("dangling-ingress", &ingress("other", "number: 80"), &[13]);
    }

    #[test]
    fn selectors_and_references_are_followed() {
        check("mismatching-selector", DEPLOYMENT, &[]);
        check(
            "mismatching-selector",
            &DEPLOYMENT.replace("matchLabels: {app: shop}", "matchLabels: {app: other}"),
            &[5],
        );
        check(
            "mismatching-selector",
            &DEPLOYMENT.replace("matchLabels: {app: shop}", "matchExpressions: [{key: app, operator: Exists}]"),
            &[],
        );
        let scaler = |name: &str| {
            format!(
                "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec:\n  scaleTargetRef: {{kind: Deployment, name: {name}}}\n"
            )
        };
        with("dangling-autoscaler", &scaler("shop"), &[]);
        with("dangling-autoscaler", &scaler("other"), &[15]);
        let policy = |app: &str| {
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec:\n  podSelector: {{matchLabels: {{app: {app}}}}}\n"
            )
        };
        with("dangling-network-policy", &policy("shop"), &[]);
        with("dangling-network-policy", &policy("other"), &[15]);
        let account = |name: &str| format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}}}\n");
        with("dangling-account", &account("shop"), &[]);
        with("dangling-account", &account("other"), &[9]);
        check("dangling-account", DEPLOYMENT, &[]);
    }

    #[test]
    fn port_names_are_what_the_server_takes() {
        let service = |port: &str| {
            format!("apiVersion: v1\nkind: Service\nspec:\n  ports:\n  - port: 80\n    targetPort: {port}\n")
        };
        for bad in ["HTTP", "a-very-long-port-name", "-a", "a--b", "a_b"] {
            check("invalid-port-name", &service(bad), &[6]);
        }
        for good in ["http", "8080", "web-1"] {
            check("invalid-port-name", &service(good), &[]);
        }
    }
}
