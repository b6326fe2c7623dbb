//! Pods that Terraform makes: which image they run, and what of it should not run at all.

use super::parse::Block;
use super::{Hit, address, field, resource_type};

const LATEST: &str = "infrastructure.terraform.pod-image-latest";
const DIGEST: &str = "infrastructure.terraform.pod-image-digest";
const PULL_POLICY: &str = "infrastructure.terraform.pod-image-pull-policy";
const TILLER: &str = "infrastructure.terraform.tiller";

pub(super) fn check(block: &Block, _: &str, hits: &mut Vec<Hit>) {
    let kind = resource_type(block);
    if !kind.starts_with("kubernetes_") || matches!(kind, "kubernetes_namespace" | "kubernetes_manifest") {
        return;
    }
    let mut runs_tiller = false;
    for container in pods(block).into_iter().flat_map(|pod| pod.blocks("container").chain(pod.blocks("init_container")))
    {
        runs_tiller |= image(block, container, hits);
    }
    if !runs_tiller {
        labels(block, hits);
    }
}

/// The specifications of pods in the resource.
fn pods(block: &Block) -> Vec<&Block> {
    let mut specs: Vec<&Block> = block.blocks("spec").collect();
    for around in ["job_template", "template"] {
        let inner: Vec<_> = specs.iter().flat_map(|spec| spec.blocks(around)).flat_map(|t| t.blocks("spec")).collect();
        if !inner.is_empty() {
            specs = inner;
        }
    }
    specs
}

/// What is wrong with a container's image; whether it is Tiller.
fn image(block: &Block, container: &Block, hits: &mut Vec<Hit>) -> bool {
    let Some(attribute) = container.attribute("image") else { return false };
    let Some(name) = attribute.value.plain().filter(|name| !name.trim().is_empty()) else { return false };
    let range = || attribute.range.clone();
    let last = name.rsplit('/').next().unwrap_or(name);
    let is_tiller = last.contains("tiller");
    if is_tiller {
        hits.push(Hit::at(
            TILLER,
            range(),
            format!("{}: runs Tiller, which may do anything in the cluster", address(block)),
        ));
    }
    if name.contains('@') {
        return is_tiller;
    }
    let pull = container.attribute("image_pull_policy");
    let may_be_old = match last.split_once(':').map(|(_, tag)| tag) {
        None | Some("latest" | "") => {
            let message = format!("{}: what runs depends on when a node pulled the image", address(block));
            hits.push(Hit::at(LATEST, range(), message));
            false
        }
        Some(_) => {
            let message =
                format!("{}: whoever may push to the registry can put another image behind the tag", address(block));
            hits.push(Hit::at(DIGEST, range(), message));
            pull.is_none()
        }
    };
    let policy = pull.and_then(|pull| pull.value.plain());
    if may_be_old || policy.is_some_and(|policy| matches!(policy, "IfNotPresent" | "Never")) {
        let message = format!("{}: a node that has the image does not ask for a newer one", address(block));
        hits.push(Hit::at(PULL_POLICY, range(), message));
    }
    is_tiller
}

/// Tiller by the labels that Helm gives it: its own, its pods', or those that a service looks for.
fn labels(block: &Block, hits: &mut Vec<Hit>) {
    let templates = block.blocks("spec").flat_map(|spec| spec.blocks("template"));
    let own = std::iter::once(block).chain(templates).flat_map(|of| of.blocks("metadata"));
    let given = own.filter_map(|metadata| metadata.attribute("labels"));
    let wanted = block.blocks("spec").filter_map(|spec| spec.attribute("selector"));
    let found = given.chain(wanted).find(|labels| {
        let is = |name, value: &str| field(&labels.value, name).and_then(|label| label.plain()) == Some(value);
        is("name", "tiller") || is("app", "helm")
    });
    if let Some(labels) = found {
        let message = format!("{}: belongs to Tiller, which may do anything in the cluster", address(block));
        hits.push(Hit::at(TILLER, labels.range.clone(), message));
    }
}

#[cfg(test)]
mod tests {
    use domain::Severity::{Info, Low, Medium};

    use super::super::tests::check_file;

    #[test]
    fn images_of_pods_are_named_for_good() {
        let pod = "resource \"kubernetes_pod\" \"a\" {\n  spec {\n    container {\n      image = \"X\"\n      Y\n    }\n  }\n}\n";
        let job = "resource \"kubernetes_cron_job_v1\" \"a\" {\n  spec {\n    job_template {\n      spec {\n        template {\n          spec {\n            container {\n              image = \"X\"\n            }\n          }\n        }\n      }\n    }\n  }\n}\n";
        let (latest, digest, pull) =
            ("terraform.pod-image-latest", "terraform.pod-image-digest", "terraform.pod-image-pull-policy");
        let of = |image: &str, more: &str| pod.replace('X', image).replace('Y', more);
        for image in ["nginx", "nginx:latest", "localhost:5000/a/nginx", "nginx:"] {
            check_file(latest, &of(image, ""), &[(4, Low)]);
            check_file(digest, &of(image, ""), &[]);
        }
        check_file(latest, &job.replace('X', "nginx"), &[(8, Low)]);
        for image in ["nginx:1.2", "nginx@sha256:0", "${var.image}", "nginx:${var.tag}", ""] {
            check_file(latest, &of(image, ""), &[]);
        }
        check_file(digest, &of("nginx:1.2", ""), &[(4, Info)]);
        check_file(digest, &of("nginx:1.2@sha256:0", ""), &[]);
        check_file(pull, &of("nginx:1.2", ""), &[(4, Info)]);
        check_file(pull, &of("nginx:1.2", "image_pull_policy = \"Never\""), &[(4, Info)]);
        check_file(pull, &of("nginx:1.2", "image_pull_policy = var.policy"), &[]);
        check_file(pull, &of("nginx:1.2", "image_pull_policy = \"Always\""), &[]);
        check_file(pull, &of("nginx:latest", ""), &[]);
    }

    #[test]
    fn tiller_is_found_by_its_image_or_its_labels() {
        let rule = "terraform.tiller";
        let deployment = "resource \"kubernetes_deployment\" \"a\" {\n  metadata {\n    labels = { A }\n  }\n  spec {\n    template {\n      metadata {\n        labels = { B }\n      }\n      spec {\n        container {\n          image = \"C\"\n        }\n      }\n    }\n  }\n}\n";
        let of = |own: &str, pods: &str, image: &str| {
            deployment.replace("{ A }", own).replace("{ B }", pods).replace("\"C\"", &format!("\"{image}\""))
        };
        check_file(rule, &of("{}", "{}", "gcr.io/kubernetes-helm/tiller:v2.16"), &[(12, Medium)]);
        check_file(rule, &of("{ app = \"helm\" }", "{}", "a"), &[(3, Medium)]);
        check_file(rule, &of("{}", "{ name = \"tiller\" }", "a"), &[(8, Medium)]);
        check_file(rule, &of("{ name = \"tiller\" }", "{}", "a/tiller"), &[(12, Medium)]);
        check_file(rule, &of("{ app = \"a\" }", "var.labels", "a"), &[]);
        let service = "resource \"kubernetes_service\" \"a\" {\n  spec {\n    selector = { name = \"X\" }\n  }\n}\n";
        check_file(rule, &service.replace('X', "tiller"), &[(3, Medium)]);
        check_file(rule, &service.replace('X', "a"), &[]);
    }

    #[test]
    fn a_container_without_a_context_keeps_its_capabilities() {
        let pod = "resource \"kubernetes_deployment_v1\" \"a\" {\n  spec {\n    template {\n      spec {\n        container {\n          X\n        }\n      }\n    }\n  }\n}\n";
        let rule = "terraform.pod-capabilities";
        check_file(rule, &pod.replace('X', "name = \"a\""), &[(5, Info)]);
        check_file(rule, &pod.replace('X', "security_context {\n }"), &[(6, Info)]);
        check_file(rule, &pod.replace('X', "security_context {\n capabilities {\n drop = [\"ALL\"]\n }\n }"), &[]);
        check_file(
            rule,
            &pod.replace('X', "dynamic \"security_context\" {\n content {\n capabilities {\n drop = var.d\n }\n }\n }"),
            &[],
        );
    }
}
