//! Versions of the interface that newer clusters no longer know, and fields that are kept for old manifests only.

use domain::Severity;

use super::super::report::Report;
use super::{Object, rule};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&REMOVED, &FIELD];

static REMOVED: Rule = Rule {
    cwe: 477,
    hazard: "k8s.deprecated-api",
    remediation: "Use the version of the interface that the migration guide names; kubectl convert rewrites a manifest.",
    references: &["https://kubernetes.io/docs/reference/using-api/deprecation-guide/"],
    aliases: &["no-extensions-v1beta"],
    ..rule(
        "infrastructure.kubernetes.removed-api",
        "Version of the interface that newer clusters refuse",
        Severity::Low,
    )
};
static FIELD: Rule = Rule {
    cwe: 477,
    hazard: "k8s.deprecated-api",
    remediation: "Write serviceAccountName instead.",
    references: &["https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/"],
    aliases: &["deprecated-service-account-field"],
    ..rule("infrastructure.kubernetes.deprecated-field", "Field kept for old manifests only", Severity::Info)
};

/// Interface, version and kind as the deprecation guide lists them; an empty kind is every kind of that version.
const GONE: &[(&str, &[&str])] = &[
    ("extensions/v1beta1", &[]),
    ("apps/v1beta1", &[]),
    ("apps/v1beta2", &[]),
    ("batch/v2alpha1", &[]),
    ("batch/v1beta1", &["CronJob"]),
    ("policy/v1beta1", &["PodSecurityPolicy", "PodDisruptionBudget"]),
    ("networking.k8s.io/v1beta1", &["Ingress", "IngressClass"]),
    ("rbac.authorization.k8s.io/v1alpha1", &[]),
    ("rbac.authorization.k8s.io/v1beta1", &[]),
    ("admissionregistration.k8s.io/v1beta1", &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]),
    ("apiextensions.k8s.io/v1beta1", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io/v1beta1", &["APIService"]),
    ("authentication.k8s.io/v1beta1", &["TokenReview"]),
    ("authorization.k8s.io/v1beta1", &[]),
    ("autoscaling/v2beta1", &[]),
    ("autoscaling/v2beta2", &[]),
    ("certificates.k8s.io/v1beta1", &["CertificateSigningRequest"]),
    ("coordination.k8s.io/v1beta1", &["Lease"]),
    ("discovery.k8s.io/v1beta1", &["EndpointSlice"]),
    ("events.k8s.io/v1beta1", &["Event"]),
    ("flowcontrol.apiserver.k8s.io/v1beta1", &[]),
    ("flowcontrol.apiserver.k8s.io/v1beta2", &[]),
    ("flowcontrol.apiserver.k8s.io/v1beta3", &[]),
    ("node.k8s.io/v1beta1", &["RuntimeClass"]),
    ("scheduling.k8s.io/v1beta1", &["PriorityClass"]),
    ("storage.k8s.io/v1beta1", &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "CSIStorageCapacity"]),
];

pub(super) fn check(report: &mut Report<'_, '_>, object: &Object<'_>) {
    let gone = GONE.iter().any(|(api, kinds)| *api == object.api && (kinds.is_empty() || kinds.contains(&object.kind)));
    if let Some(api) = object.root.get("apiVersion").filter(|_| gone) {
        report.at(&REMOVED, api, "clusters from Kubernetes 1.16 to 1.32 on, by kind, no longer know this version");
    }
    let Some(workload) = object.workload() else { return };
    if let Some((key, value)) = workload.spec.entry("serviceAccount")
        && !value.is_empty()
        && workload.spec.text_at(&["serviceAccountName"]) != value.text()
    {
        report.at(&FIELD, key, "serviceAccount is the old name of serviceAccountName");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn what_newer_clusters_refuse_is_found() {
        let object = |api: &str, kind: &str| format!("apiVersion: {api}\nkind: {kind}\nmetadata:\n  name: a\n");
        check("removed-api", &object("extensions/v1beta1", "Deployment"), &[1]);
        check("removed-api", &object("batch/v1beta1", "CronJob"), &[1]);
        check("removed-api", &object("autoscaling/v2beta2", "HorizontalPodAutoscaler"), &[1]);
        check("removed-api", &object("apps/v1", "Deployment"), &[]);
        check("removed-api", &object("acme.io/v1beta1", "Thing"), &[]);
    }

    #[test]
    fn the_old_name_of_a_field_is_found_unless_both_agree() {
        let pod = |lines: &str| format!("apiVersion: v1\nkind: Pod\nspec:\n  containers: []\n  {lines}\n");
        check("deprecated-field", &pod("serviceAccount: a"), &[5]);
        check("deprecated-field", &pod("serviceAccount: a\n  serviceAccountName: a"), &[]);
        check("deprecated-field", &pod("serviceAccountName: a"), &[]);
    }
}
