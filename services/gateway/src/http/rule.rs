//! How a method is called over HTTP: the rules that stand at the methods of the `.proto` files, and which of them a request
//! follows.

use percent_encoding::percent_decode_str;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use tonic::codegen::http::Method;

/// The option that holds a method's rule.
const OPTION: &str = "google.api.http";
/// The kinds of HTTP request that a rule may ask for, by their names in it.
const PATTERNS: [(&str, Method); 5] = [
    ("get", Method::GET),
    ("put", Method::PUT),
    ("post", Method::POST),
    ("delete", Method::DELETE),
    ("patch", Method::PATCH),
];

/// One form of one method.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) method: Method,
    /// The path as it stands in the rule.
    pub(super) path: String,
    template: Template,
    /// Whether the body is the whole request; without, all is in path and query.
    pub(super) has_body: bool,
    pub(super) rpc: MethodDescriptor,
}

/// Field by field what a path says.
pub(super) type Captured = Vec<(String, String)>;

/// The rules of a service.
#[derive(Clone, Debug)]
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    /// The rules of the service of that name.
    ///
    /// # Panics
    /// When there is no such service, or a rule says what is not understood here: a fault of the `.proto` files.
    pub(super) fn of(pool: &DescriptorPool, service: &str) -> Self {
        let option = pool.get_extension_by_name(OPTION).expect("the option is in the descriptors");
        let service = pool.get_service_by_name(service).expect("the service is in the descriptors");
        let mut rules = Vec::new();
        for rpc in service.methods() {
            let options = rpc.options();
            if !options.has_extension(&option) {
                continue;
            }
            let rule = options.get_extension(&option);
            let rule = rule.as_message().expect("a rule is a message");
            let more = rule.get_field_by_name("additional_bindings");
            let more = more.iter().flat_map(|more| more.as_list().unwrap_or_default());
            let all = std::iter::once(rule).chain(more.filter_map(prost_reflect::Value::as_message));
            rules.extend(all.map(|rule| Rule::read(rule, &rpc)));
        }
        Self(rules)
    }

    /// All of them, in the order of the methods.
    pub(super) fn all(&self) -> &[Rule] {
        &self.0
    }

    /// The rule that a request follows, and what its path says.
    ///
    /// # Errors
    /// The kinds of request that the path takes; none when no rule has such a path.
    pub(super) fn find(&self, method: &Method, path: &str) -> Result<(&Rule, Captured), Vec<&Method>> {
        let mut others = Vec::new();
        for rule in &self.0 {
            match rule.template.captures(path) {
                Some(captured) if rule.method == *method => return Ok((rule, captured)),
                Some(_) => others.push(&rule.method),
                None => {}
            }
        }
        Err(others)
    }
}

impl Rule {
    fn read(rule: &DynamicMessage, rpc: &MethodDescriptor) -> Self {
        let text = |name: &str| rule.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned));
        let given = PATTERNS.iter().find(|(name, _)| rule.has_field_by_name(name));
        let (name, method) = given.expect("a rule has a path");
        let path = text(name).expect("a path is a text");
        let body = text("body").unwrap_or_default();
        assert!(matches!(body.as_str(), "" | "*"), "{}: the body is everything or nothing", rpc.full_name());
        let template = Template::parse(&path);
        Self { method: method.clone(), path, template, has_body: body == "*", rpc: rpc.clone() }
    }

    /// The fields that stand in the path.
    pub(super) fn path_fields(&self) -> impl Iterator<Item = &str> {
        self.template.parts.iter().filter_map(|part| match part {
            Part::Field(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }
}

/// `/v1/deployments/{deployment_id}:watch`: segments that are texts or fields, and a verb behind the last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    parts: Vec<Part>,
    verb: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
}

impl Template {
    fn parse(text: &str) -> Self {
        let (path, verb) = match text.rsplit_once(':') {
            Some((path, verb)) => (path, Some(verb.to_owned())),
            None => (text, None),
        };
        let part = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(field) => Part::Field(field.to_owned()),
            None => Part::Text(segment.to_owned()),
        };
        Self { parts: path.split('/').skip(1).map(part).collect(), verb }
    }

    /// What `path` says for each field; `None` when it is another path.
    fn captures(&self, path: &str) -> Option<Captured> {
        let path = match &self.verb {
            Some(verb) => path.strip_suffix(verb.as_str())?.strip_suffix(':')?,
            None => path,
        };
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        if segments.len() != self.parts.len() {
            return None;
        }
        let mut captured = Captured::new();
        for (part, segment) in self.parts.iter().zip(segments) {
            match part {
                Part::Text(text) if text == segment => {}
                // Without a verb of its own, a path with one is another path.
                Part::Field(_) if segment.is_empty() || segment.contains(':') => return None,
                Part::Field(name) => {
                    captured.push((name.clone(), percent_decode_str(segment).decode_utf8().ok()?.into_owned()));
                }
                Part::Text(_) => return None,
            }
        }
        Some(captured)
    }
}

#[cfg(test)]
mod tests {
    use super::super::POOL;
    use super::*;

    #[track_caller]
    fn check(template: &str, path: &str, expected: Option<&[(&str, &str)]>) {
        let captured = Template::parse(template).captures(path);
        let captured = captured.as_ref().map(|all| all.iter().map(|(a, b)| (&**a, &**b)).collect::<Vec<_>>());
        assert_eq!(captured.as_deref(), expected, "{path}");
    }

    #[test]
    fn a_path_says_what_its_fields_are() {
        check("/v1/deployments", "/v1/deployments", Some(&[]));
        check("/v1/deployments", "/v1/deployments/", None);
        check("/v1/deployments/{id}", "/v1/deployments/a%20b", Some(&[("id", "a b")]));
        check("/v1/deployments/{id}", "/v1/deployments/", None);
        check("/v1/deployments/{id}", "/v1/deployments/a:watch", None);
        check("/v1/deployments/{id}", "/v1/deployments/%ff", None);
        check("/v1/deployments/{id}:watch", "/v1/deployments/a:watch", Some(&[("id", "a")]));
        check("/v1/deployments/{id}:watch", "/v1/deployments/a:review", None);
        check("/v1/{a}/x/{b}", "/v1/1/x/2", Some(&[("a", "1"), ("b", "2")]));
    }

    #[test]
    fn every_method_has_a_path_of_its_own() {
        let service = POOL.get_service_by_name(super::super::SERVICE_NAME).unwrap();
        let rules = Rules::of(&POOL, super::super::SERVICE_NAME);
        for rpc in service.methods() {
            let own = rules.all().iter().find(|rule| rule.rpc == rpc).unwrap_or_else(|| panic!("{rpc:?} has none"));
            let path = own.path.replace("{deployment_id}", "x");
            assert_eq!(rules.find(&own.method, &path).unwrap().0.rpc, rpc, "{path}");
        }
        assert_eq!(rules.find(&Method::DELETE, "/v1/deployments").unwrap_err(), [&Method::POST, &Method::GET]);
        assert!(rules.find(&Method::GET, "/v1/nothing").unwrap_err().is_empty());
    }
}
