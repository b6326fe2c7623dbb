//! Which scope each call needs. Pure.

use super::caller::Scope;

/// The scope that the method of that name needs. One that is not listed needs `admin`, so that what is new is closed until somebody
/// has thought about it.
pub(crate) fn scope_of(method: &str) -> Scope {
    match method {
        "SubmitDeployment" => Scope::Submit,
        "GetDeployment" | "ListDeployments" | "WatchDeployment" | "AttestVerdict" => Scope::Read,
        // It changes no verdict.
        "ExplainDeployment" => Scope::Read,
        // What goes against a BLOCK needs `override`, too: see `records`.
        "ReviewDeployment" => Scope::Review,
        "RecordOutcome" => Scope::Outcome,
        _ => Scope::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_has_thought_about_every_method() {
        let pool = prost_reflect::DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
        let service = pool.get_service_by_name("failsafe.v1.DeploymentService").unwrap();
        let open: Vec<String> = service
            .methods()
            .map(|method| method.name().to_owned())
            .filter(|method| scope_of(method) == Scope::Admin)
            .collect();
        assert!(open.is_empty(), "no scope is chosen for {open:?}");
        assert_eq!(scope_of("Unheard"), Scope::Admin);
    }
}
