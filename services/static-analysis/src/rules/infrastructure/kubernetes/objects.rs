//! What an object is made of, and the rules about objects that are no workload.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::{Object, rule};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&DEFAULT_NAMESPACE, &SNIPPET, &DISRUPTION, &EXPOSED, &TILLER_SERVICE];

static DEFAULT_NAMESPACE: Rule = Rule {
    hazard: "k8s.default-namespace",
    remediation: "Give each application a namespace of its own, so that roles, quotas and network policies can be set for it alone.",
    references: &["https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/"],
    aliases: &["CKV_K8S_21", "use-namespace"],
    ..rule("infrastructure.kubernetes.default-namespace", "Object put into the default namespace", Severity::Info)
};
static SNIPPET: Rule = Rule {
    cwe: 94,
    hazard: "k8s.ingress-snippet",
    remediation: "Configure the controller with its other annotations, and forbid snippets with allow-snippet-annotations: false.",
    references: &["https://github.com/kubernetes/ingress-nginx/issues/7837"],
    aliases: &["CKV_K8S_152", "CKV_K8S_153", "CKV_K8S_154"],
    ..rule(
        "infrastructure.kubernetes.ingress-snippet",
        "Ingress puts raw text into the controller's configuration",
        Severity::Low,
    )
};
static DISRUPTION: Rule = Rule {
    hazard: "k8s.disruption-budget",
    remediation: "Leave at least one pod that may be moved: maxUnavailable of 1 or more, or minAvailable below the number of replicas.",
    references: &["https://kubernetes.io/docs/tasks/run-application/configure-pdb/"],
    aliases: &["pdb-max-unavailable", "pdb-min-available"],
    ..rule("infrastructure.kubernetes.disruption-blocked", "Disruption budget lets no pod be moved", Severity::Low)
};
static EXPOSED: Rule = Rule {
    cwe: 668,
    hazard: "k8s.exposed-service",
    remediation: "Use a ClusterIP behind an ingress or a gateway, unless the service is meant to be reached from outside on its own.",
    references: &["https://kubernetes.io/docs/concepts/services-networking/service/#publishing-services-service-types"],
    aliases: &["exposed-services"],
    ..rule("infrastructure.kubernetes.exposed-service", "Service opens a port outside the cluster", Severity::Info)
};
static TILLER_SERVICE: Rule = Rule {
    cwe: 1104,
    hazard: "k8s.tiller",
    remediation: "Remove Tiller: Helm 3 needs no service in the cluster, and Helm 2 has been out of support since 2020.",
    references: &["https://helm.sh/docs/faq/changes_since_helm2/"],
    aliases: &["CKV_K8S_44"],
    ..rule("infrastructure.kubernetes.tiller-service", "Service of Tiller, Helm 2's server", Severity::Low)
};

/// The pods that an object makes.
#[derive(Clone, Copy)]
pub(super) struct Workload<'d> {
    /// The labels and annotations of the pods.
    pub(super) metadata: Option<Yaml<'d>>,
    /// What is in a pod.
    pub(super) spec: Yaml<'d>,
    /// Whether the pods serve until they are stopped, and do not end by themselves.
    pub(super) serves: bool,
}

impl<'d> Workload<'d> {
    /// `None` for an object that makes no pods.
    pub(super) fn of(object: &Object<'d>) -> Option<Self> {
        let template = match object.kind {
            "Pod" => object.root,
            "PodTemplate" => object.root.get("template")?,
            "CronJob" | "ScheduledJob" => object.root.at(&["spec", "jobTemplate", "spec", "template"])?,
            "Deployment"
            | "DeploymentConfig"
            | "DaemonSet"
            | "Job"
            | "ReplicaSet"
            | "ReplicationController"
            | "StatefulSet"
            | "Rollout"
            | "CloneSet" => object.root.at(&["spec", "template"])?,
            _ => return None,
        };
        let spec = template.get("spec").filter(|spec| spec.is_mapping())?;
        let serves = !matches!(object.kind, "Job" | "CronJob" | "ScheduledJob");
        Some(Self { metadata: template.get("metadata"), spec, serves })
    }

    /// The containers that run side by side.
    pub(super) fn containers(&self) -> impl Iterator<Item = Yaml<'d>> {
        self.spec.list("containers").filter(|container| container.is_mapping())
    }

    /// All containers, those that run before and those for debugging too.
    pub(super) fn all_containers(&self) -> impl Iterator<Item = Yaml<'d>> {
        let lists = ["containers", "initContainers", "ephemeralContainers"];
        let spec = self.spec;
        lists.into_iter().flat_map(move |list| spec.list(list)).filter(|container| container.is_mapping())
    }

    /// The labels of its pods.
    pub(super) fn label(&self, name: &str) -> Option<&'d str> {
        self.metadata?.text_at(&["labels", name])
    }
}

pub(super) fn check(report: &mut Report<'_, '_>, object: &Object<'_>) {
    if let Some(namespace) = object.root.at(&["metadata", "namespace"])
        && namespace.text() == Some("default")
        && !(matches!(object.kind, "Service" | "ServiceAccount")
            && matches!(object.name(), Some("kubernetes" | "default")))
    {
        report.at(&DEFAULT_NAMESPACE, namespace, "the object goes into the namespace default");
    }
    match object.kind {
        "Ingress" => snippets(report, object),
        "PodDisruptionBudget" => disruption(report, object),
        "Service" => service(report, object),
        _ => {}
    }
}

fn snippets(report: &mut Report<'_, '_>, object: &Object<'_>) {
    for (key, _) in object.root.at(&["metadata", "annotations"]).into_iter().flat_map(Yaml::entries) {
        if key.text().is_some_and(|name| name.contains("nginx") && name.contains("snippet")) {
            report.at(
                &SNIPPET,
                key,
                "whoever may write this annotation may configure the controller, and read its secrets",
            );
        }
    }
}

fn disruption(report: &mut Report<'_, '_>, object: &Object<'_>) {
    let Some(spec) = object.root.get("spec") else { return };
    let max = spec.entry("maxUnavailable").filter(|(_, value)| matches!(value.text(), Some("0" | "0%")));
    let min = spec.entry("minAvailable").filter(|(_, value)| value.text() == Some("100%"));
    if let Some((key, _)) = max.or(min) {
        report.at(&DISRUPTION, key, "no pod may ever be moved, so that a node can never be drained");
    }
}

fn service(report: &mut Report<'_, '_>, object: &Object<'_>) {
    let kind = object.root.get("spec").and_then(|spec| spec.entry("type"));
    if let Some((key, value)) = kind
        && matches!(value.text(), Some("NodePort" | "LoadBalancer"))
    {
        report.at(&EXPOSED, key, "the service can be reached from outside the cluster");
    }
    let is_tiller = |value: Yaml<'_>| value.text().is_some_and(|text| text.to_ascii_lowercase().contains("tiller"));
    let named = object.root.at(&["metadata", "name"]).filter(|name| is_tiller(*name));
    let labels = [&["metadata", "labels"], &["spec", "selector"]].map(|path| object.root.at(path));
    let labelled =
        labels.into_iter().flatten().flat_map(Yaml::entries).map(|(_, value)| value).find(|value| is_tiller(*value));
    if let Some(node) = named.or(labelled) {
        report.at(&TILLER_SERVICE, node, "Tiller may do anything in the cluster, for whoever reaches it");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn objects_are_judged() {
        check(
            "default-namespace",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: default\n",
            &[5],
        );
        check("default-namespace", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: shop\n", &[]);
        let ingress = |key: &str| {
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  annotations:\n    nginx.ingress.kubernetes.io/{key}: x\n"
            )
        };
        check("ingress-snippet", &ingress("configuration-snippet"), &[5]);
        check("ingress-snippet", &ingress("rewrite-target"), &[]);
        let budget = |line: &str| format!("apiVersion: policy/v1\nkind: PodDisruptionBudget\nspec:\n  {line}\n");
        check("disruption-blocked", &budget("maxUnavailable: 0"), &[4]);
        check("disruption-blocked", &budget("minAvailable: 100%"), &[4]);
        check("disruption-blocked", &budget("maxUnavailable: 1"), &[]);
        let service = |line: &str| format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  {line}\n");
        check("exposed-service", &service("type: NodePort"), &[6]);
        check("exposed-service", &service("type: ClusterIP"), &[]);
        check("tiller-service", &service("selector: {name: tiller}"), &[6]);
        check("tiller-service", &service("selector: {name: till}"), &[]);
    }
}
