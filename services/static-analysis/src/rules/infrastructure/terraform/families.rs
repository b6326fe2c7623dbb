//! What the hazards have in common: what to do, which weakness it is, and whose documentation says so.

/// A second sentence for the remediation of a row about this attribute.
pub(super) fn advice(hazard: &str, attribute: &str) -> &'static str {
    let is = |words: &[&str]| words.iter().any(|word| attribute.contains(word));
    match hazard {
        "tf.encryption-off" if is(&["tls", "transit"]) => "What is read on the way is lost, too.",
        "tf.encryption-off" if is(&["rotat"]) => "A key that leaked then opens little.",
        "tf.encryption-off" if is(&["kms", "key", "cmk"]) => "A key of your own can be watched, and taken away.",
        "tf.encryption-off" => "Most stores can only be encrypted when they are made, so do it before there is data.",
        "tf.public-endpoint" => "Reach it over a private network, a private endpoint or a load balancer.",
        "tf.logging-off" => "Without it nobody can tell later what happened.",
        "tf.no-backup-or-deletion-protection" => {
            "One wrong apply, or one wrong click, must not be the end of the data."
        }
        "tf.tls-off-or-old" => "Clients that cannot do TLS 1.2 are not worth the risk.",
        "tf.auto-upgrade-off" => "What is not upgraded keeps its known holes.",
        "tf.hardcoded-secret" => "Keep secrets in a secret store, and let them expire.",
        "tf.auth-off" => "Let people and services sign in by the platform's own identities.",
        "tf.iam-wildcard" => "Grant what is needed, by name.",
        "tf.open-ingress" => "Name the networks that may come in.",
        "tf.no-multi-az" => "One zone that fails must not take the service with it.",
        "tf.public-bucket-or-blob" => "Serve public files through a CDN, and keep the store private.",
        "k8s.no-limits" => "A container without them can starve its neighbours.",
        _ => "",
    }
}

/// The weakness, as Common Weakness Enumeration numbers it.
pub(super) fn cwe(hazard: &str) -> u32 {
    match hazard {
        "tf.encryption-off" => 311,
        "tf.public-endpoint" | "tf.open-ingress" => 284,
        "tf.logging-off" => 778,
        "tf.tls-off-or-old" => 319,
        "tf.auto-upgrade-off" => 1104,
        "tf.hardcoded-secret" => 522,
        "tf.auth-off" => 306,
        "tf.iam-wildcard" | "tf.public-bucket-or-blob" | "k8s.rbac-wildcard" => 732,
        "k8s.no-limits" => 770,
        "k8s.privileged" | "k8s.privilege-escalation" | "k8s.capabilities" | "k8s.host-namespace" | "k8s.host-path" => {
            250
        }
        "k8s.secret-in-env" => 526,
        _ => 0,
    }
}

/// The page of the provider's own manual about the resource, in the provider's repository; the repository where its pages are
/// laid out in another way.
pub(super) fn documentation(resource: &str) -> String {
    let (folder, resource) = match resource.split_once('.') {
        Some(("data", rest)) => (Some("d"), rest),
        Some((_, rest)) => (None, rest),
        None => (Some("r"), resource),
    };
    let (provider, rest) = resource.split_once('_').unwrap_or((resource, ""));
    let owner = match provider {
        "alicloud" => "aliyun",
        "oci" => "oracle",
        "yandex" => "yandex-cloud",
        "tencentcloud" => "tencentcloudstack",
        "ncloud" => "NaverCloudPlatform",
        "ibm" => "IBM-Cloud",
        "okta" => "okta",
        "panos" => "PaloAltoNetworks",
        "github" => "integrations",
        "gitlab" => "gitlabhq",
        "digitalocean" => "digitalocean",
        "linode" => "linode",
        "openstack" => "terraform-provider-openstack",
        _ => "hashicorp",
    };
    let repository = format!("https://github.com/{owner}/terraform-provider-{provider}");
    match folder.filter(|_| matches!(provider, "aws" | "azurerm" | "google")) {
        Some(folder) => format!("{repository}/blob/main/website/docs/{folder}/{rest}.html.markdown"),
        None => repository,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_a_page() {
        let aws = "https://github.com/hashicorp/terraform-provider-aws/blob/main/website/docs";
        assert_eq!(documentation("aws_db_instance"), format!("{aws}/r/db_instance.html.markdown"));
        let data = documentation("data.aws_iam_policy_document");
        assert_eq!(data, format!("{aws}/d/iam_policy_document.html.markdown"));
        assert_eq!(documentation("provider.panos"), "https://github.com/PaloAltoNetworks/terraform-provider-panos");
        assert_eq!(documentation("oci_core_vcn"), "https://github.com/oracle/terraform-provider-oci");
    }
}
