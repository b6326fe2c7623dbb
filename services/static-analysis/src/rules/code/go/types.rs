//! Of what type an expression is, as far as one file tells, and which function a call calls.

use tree_sitter::Node;

use super::model::{FIELD, FUNCTION, Model, Variable};
use crate::rules::code::program::children;

/// How far a value is followed from one expression to the next.
const DEPTH_MAX: usize = 12;

/// What functions of other packages return first.
const RESULTS: &[(&str, &str)] = &[
    ("strconv.Atoi", "int"),
    ("strconv.ParseInt", "int64"),
    ("strconv.ParseUint", "uint64"),
    ("strconv.ParseFloat", "float64"),
    ("strconv.Itoa", "string"),
    ("math/rand.Int", "int"),
    ("math/rand.Intn", "int"),
    ("math/rand.Int31", "int32"),
    ("math/rand.Int31n", "int32"),
    ("math/rand.Int63", "int64"),
    ("math/rand.Int63n", "int64"),
    ("math/rand.Uint32", "uint32"),
    ("math/rand.Uint64", "uint64"),
    ("math/rand/v2.Int", "int"),
    ("math/rand/v2.IntN", "int"),
    ("math/rand/v2.Int32", "int32"),
    ("math/rand/v2.Int64", "int64"),
    ("math/rand/v2.Int64N", "int64"),
    ("math/rand/v2.Uint32", "uint32"),
    ("math/rand/v2.Uint64", "uint64"),
    ("math/bits.Len64", "int"),
    ("os.Getpid", "int"),
    ("os.Getuid", "int"),
    ("os.Getenv", "string"),
    ("time.Now", "time.Time"),
    ("database/sql.Open", "*database/sql.DB"),
    ("(*database/sql.DB).Begin", "*database/sql.Tx"),
    ("(*database/sql.DB).BeginTx", "*database/sql.Tx"),
    ("(*database/sql.DB).Conn", "*database/sql.Conn"),
    ("(*database/sql.Conn).BeginTx", "*database/sql.Tx"),
    ("bufio.NewReader", "*bufio.Reader"),
    ("bufio.NewScanner", "*bufio.Scanner"),
    ("net/http.NewRequest", "*net/http.Request"),
    ("net/http.NewRequestWithContext", "*net/http.Request"),
    ("encoding/json.NewEncoder", "*encoding/json.Encoder"),
    ("encoding/xml.NewEncoder", "*encoding/xml.Encoder"),
    ("gopkg.in/yaml.v3.NewEncoder", "*gopkg.in/yaml.v3.Encoder"),
    ("gopkg.in/yaml.v2.NewEncoder", "*gopkg.in/yaml.v2.Encoder"),
    ("go.yaml.in/yaml/v3.NewEncoder", "*go.yaml.in/yaml/v3.Encoder"),
    ("text/template.New", "*text/template.Template"),
    ("text/template.Must", "*text/template.Template"),
    ("(*text/template.Template).Parse", "*text/template.Template"),
    ("(*text/template.Template).New", "*text/template.Template"),
    ("html/template.New", "*html/template.Template"),
    ("archive/zip.OpenReader", "*archive/zip.ReadCloser"),
    ("archive/zip.NewReader", "*archive/zip.Reader"),
    ("archive/tar.NewReader", "*archive/tar.Reader"),
    ("(*archive/tar.Reader).Next", "*archive/tar.Header"),
    ("crypto/cipher.NewGCM", "crypto/cipher.AEAD"),
    ("crypto/cipher.NewGCMWithNonceSize", "crypto/cipher.AEAD"),
    ("crypto/cipher.NewGCMWithTagSize", "crypto/cipher.AEAD"),
    ("golang.org/x/crypto/chacha20poly1305.New", "crypto/cipher.AEAD"),
    ("net/smtp.Dial", "*net/smtp.Client"),
    ("net/smtp.NewClient", "*net/smtp.Client"),
    ("(*net/http.Request).FormValue", "string"),
    ("(*net/http.Request).PostFormValue", "string"),
    ("(*net/http.Request).Cookie", "*net/http.Cookie"),
    ("(*net/http.Request).Context", "context.Context"),
    ("(*net/url.URL).Query", "net/url.Values"),
    ("(net/url.Values).Get", "string"),
    ("(net/http.ResponseWriter).Header", "net/http.Header"),
    ("context.Background", "context.Context"),
    ("context.TODO", "context.Context"),
    ("fmt.Sprintf", "string"),
    ("fmt.Sprint", "string"),
    ("os.OpenRoot", "*os.Root"),
    ("strings.NewReader", "*strings.Reader"),
    ("unicode/utf8.RuneCountInString", "int"),
    ("strings.Index", "int"),
    ("strings.Count", "int"),
];

/// The functions and fields that give something of this type.
pub(super) fn sources_of(wanted: &str) -> impl Iterator<Item = &'static str> {
    let is_it = move |of: &str| of.trim_start_matches(['[', ']', '*']) == wanted;
    let results = RESULTS.iter().filter(move |(_, of)| is_it(of)).map(|(name, _)| *name);
    results.chain(FIELDS.iter().filter(move |(.., of)| is_it(of)).map(|(_, name, _)| *name))
}

/// The fields of types of other packages.
const FIELDS: &[(&str, &str, &str)] = &[
    ("net/http.Request", "URL", "*net/url.URL"),
    ("net/http.Request", "Header", "net/http.Header"),
    ("net/http.Request", "Form", "net/url.Values"),
    ("net/http.Request", "PostForm", "net/url.Values"),
    ("net/http.Request", "ContentLength", "int64"),
    ("archive/zip.File", "Name", "string"),
    ("archive/zip.ReadCloser", "File", "[]*archive/zip.File"),
    ("archive/zip.Reader", "File", "[]*archive/zip.File"),
    ("archive/tar.Header", "Size", "int64"),
    ("net/http.DefaultClient", "", "*net/http.Client"),
];

/// Methods whose first result has the same type whatever they belong to.
const METHOD_RESULTS: &[(&str, &str)] = &[
    ("Unix", "int64"),
    ("UnixNano", "int64"),
    ("UnixMilli", "int64"),
    ("UnixMicro", "int64"),
    ("Milliseconds", "int64"),
    ("Microseconds", "int64"),
    ("Nanoseconds", "int64"),
    ("Nanosecond", "int"),
    ("Seconds", "float64"),
    ("YearDay", "int"),
    ("Year", "int"),
    ("Uint16", "uint16"),
    ("Uint32", "uint32"),
    ("Uint64", "uint64"),
    ("Int63", "int64"),
    ("Int63n", "int64"),
    ("Int31", "int32"),
    ("Intn", "int"),
    ("IntN", "int"),
    ("Size", "int64"),
    ("Len", "int"),
    ("Error", "string"),
    ("String", "string"),
];

pub(super) const INTEGERS: &[&str] = &[
    "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64", "uintptr", "byte", "rune",
];

impl<'a, 't> Model<'a, 't> {
    /// A type as written, its packages replaced by their paths.
    pub(super) fn type_text(&self, node: Node<'t>) -> String {
        let inner = |field: &str| node.child_by_field_name(field).map_or(String::new(), |child| self.type_at(child));
        match node.kind() {
            "qualified_type" => {
                let package = node.child_by_field_name("package").map_or("", |package| self.source(package));
                let path = self.packages.get(package).map_or(package, String::as_str);
                format!("{path}.{}", node.child_by_field_name("name").map_or("", |name| self.source(name)))
            }
            "pointer_type" => format!("*{}", node.named_child(0).map_or(String::new(), |child| self.type_at(child))),
            "slice_type" => format!("[]{}", inner("element")),
            "array_type" => {
                let length = node.child_by_field_name("length").map_or("", |length| self.source(length));
                format!("[{length}]{}", inner("element"))
            }
            "implicit_length_array_type" => format!("[...]{}", inner("element")),
            "map_type" => format!("map[{}]{}", inner("key"), inner("value")),
            "channel_type" => format!("chan {}", inner("value")),
            "generic_type" => inner("type"),
            "parenthesized_type" => node.named_child(0).map_or(String::new(), |child| self.type_at(child)),
            "function_type" => "func".to_owned(),
            "struct_type" => "struct".to_owned(),
            "interface_type" => "interface".to_owned(),
            _ => self.source(node).to_owned(),
        }
    }

    fn type_at(&self, node: Node<'t>) -> String {
        // Types nest only as deep as somebody writes them; a machine's nesting is not followed.
        if node.end_byte() - node.start_byte() > 400 { String::new() } else { self.type_text(node) }
    }

    /// The type behind a type of this file: `type Uint uint` is `uint`.
    pub(super) fn underlying(&self, name: &str) -> String {
        let mut name = name.to_owned();
        for _ in 0..DEPTH_MAX {
            let Some(behind) = self.types.get(name.as_str()).and_then(|spec| spec.child_by_field_name("type")) else {
                break;
            };
            name = self.type_at(behind);
        }
        match name.as_str() {
            "byte" => "uint8".to_owned(),
            "rune" => "int32".to_owned(),
            "time.Duration" => "int64".to_owned(),
            _ => name,
        }
    }

    /// The type of an expression; empty when it is not known.
    pub(super) fn type_of(&self, node: Node<'t>) -> String {
        self.type_within(node, 0)
    }

    pub(super) fn type_within(&self, node: Node<'t>, depth: usize) -> String {
        if depth > DEPTH_MAX {
            return String::new();
        }
        if let Some(known) = self.known_types.borrow().get(&node.id()) {
            return known.clone();
        }
        // A variable that is made of itself has no type here.
        self.known_types.borrow_mut().insert(node.id(), String::new());
        let of = self.type_made(node, depth);
        self.known_types.borrow_mut().insert(node.id(), of.clone());
        of
    }

    fn type_made(&self, node: Node<'t>, depth: usize) -> String {
        let field = |name: &str| node.child_by_field_name(name);
        let of = |name: &str| field(name).map_or(String::new(), |child| self.type_within(child, depth + 1));
        match node.kind() {
            "identifier" => match self.variable(node) {
                Some(variable) => self.type_of_variable(variable, depth),
                None => String::new(),
            },
            "composite_literal" => field("type").map_or(String::new(), |node| self.type_text(node)),
            "type_conversion_expression" | "type_assertion_expression" => {
                field("type").map_or(String::new(), |node| self.type_text(node))
            }
            "parenthesized_expression" => {
                node.named_child(0).map_or(String::new(), |child| self.type_within(child, depth + 1))
            }
            "interpreted_string_literal" | "raw_string_literal" => "string".to_owned(),
            "unary_expression" => {
                let operand = of("operand");
                match field("operator").map(|operator| self.source(operator)) {
                    Some("&") => format!("*{operand}"),
                    Some("*") => operand.strip_prefix('*').unwrap_or("").to_owned(),
                    Some("!") => "bool".to_owned(),
                    Some("<-") => operand.strip_prefix("chan ").unwrap_or("").to_owned(),
                    _ => operand,
                }
            }
            "binary_expression" => match field("operator").map(|operator| self.source(operator)) {
                Some("==" | "!=" | "<" | "<=" | ">" | ">=" | "&&" | "||") => "bool".to_owned(),
                Some("<<" | ">>") => of("left"),
                _ => Some(of("left")).filter(|left| !left.is_empty()).unwrap_or_else(|| of("right")),
            },
            "index_expression" => element_of(&self.underlying(&of("operand"))),
            "slice_expression" => of("operand"),
            "selector_expression" => self.type_of_field(node, depth),
            "call_expression" => self.type_of_call(node, depth),
            "func_literal" => "func".to_owned(),
            _ => String::new(),
        }
    }

    fn type_of_variable(&self, variable: &Variable<'t>, depth: usize) -> String {
        if let Some(node) = variable.type_node {
            let text = self.type_text(node);
            let variadic =
                self.parent(variable.declared).is_some_and(|parent| parent.kind() == "variadic_parameter_declaration");
            return if variadic { format!("[]{text}") } else { text };
        }
        let Some(value) = variable.values.first() else { return String::new() };
        if self.parent(value.node).is_some_and(|parent| parent.kind() == "range_clause") {
            let ranged = self.underlying(&self.type_within(value.node, depth + 1));
            return match value.index {
                0 if ranged.starts_with("map[") => ranged[4..].split(']').next().unwrap_or("").to_owned(),
                0 if super::types::INTEGERS.contains(&ranged.as_str()) => ranged,
                0 => "int".to_owned(),
                _ if ranged == "string" => "int32".to_owned(),
                _ => element_of(&ranged),
            };
        }
        match value.node.kind() {
            "int_literal" => "int".to_owned(),
            "rune_literal" => "int32".to_owned(),
            "float_literal" => "float64".to_owned(),
            "true" | "false" => "bool".to_owned(),
            "call_expression" if value.index > 0 => self.result_of(value.node, value.index, depth + 1),
            _ if value.index > 0 => String::new(),
            _ => self.type_within(value.node, depth + 1),
        }
    }

    fn type_of_field(&self, node: Node<'t>, depth: usize) -> String {
        let (Some(operand), Some(name)) = (node.child_by_field_name("operand"), node.child_by_field_id(*FIELD)) else {
            return String::new();
        };
        let name = self.source(name);
        if let Some(path) = self.package(operand) {
            return match (path, name) {
                ("os", "Args") => "[]string".to_owned(),
                ("crypto/rand", "Reader") => "io.Reader".to_owned(),
                ("net/http", "DefaultClient") => "*net/http.Client".to_owned(),
                _ => String::new(),
            };
        }
        let owner = self.type_within(operand, depth + 1);
        let owner = owner.trim_start_matches('*');
        if let Some((.., found)) = FIELDS.iter().find(|(of, field, _)| *of == owner && *field == name) {
            return (*found).to_owned();
        }
        self.field(owner, name)
            .and_then(|field| field.child_by_field_name("type"))
            .map_or(String::new(), |node| self.type_text(node))
    }

    /// The declaration of a field of a struct of this file.
    pub(super) fn field(&self, owner: &str, name: &str) -> Option<Node<'t>> {
        self.fields(owner).into_iter().find(|field| {
            let mut cursor = field.walk();
            field.children_by_field_name("name", &mut cursor).any(|other| self.source(other) == name)
        })
    }

    /// The fields of a struct of this file.
    pub(super) fn fields(&self, owner: &str) -> Vec<Node<'t>> {
        let Some(spec) = self.types.get(owner).and_then(|spec| spec.child_by_field_name("type")) else {
            return Vec::new();
        };
        if spec.kind() != "struct_type" {
            return Vec::new();
        }
        spec.named_child(0).map(children).unwrap_or_default()
    }

    fn type_of_call(&self, node: Node<'t>, depth: usize) -> String {
        let Some(function) = node.child_by_field_id(*FUNCTION) else { return String::new() };
        if function.kind() == "identifier" && self.variable(function).is_none() {
            let name = self.source(function);
            if INTEGERS.contains(&name)
                || matches!(name, "string" | "float32" | "float64")
                || self.types.contains_key(name)
            {
                return name.to_owned();
            }
            let first = arguments(node).first().copied();
            match name {
                "len" | "cap" | "copy" => return "int".to_owned(),
                "new" => return first.map_or(String::new(), |of| format!("*{}", self.type_text(of))),
                "make" => return first.map_or(String::new(), |of| self.type_text(of)),
                "append" | "min" | "max" => return first.map_or(String::new(), |of| self.type_within(of, depth + 1)),
                _ => {}
            }
        }
        if matches!(function.kind(), "slice_type" | "array_type" | "parenthesized_type" | "pointer_type") {
            return self.type_text(function);
        }
        if function.kind() == "parenthesized_expression" {
            return String::new();
        }
        self.result_of(node, 0, depth + 1)
    }

    /// The type of one of the results of a call.
    fn result_of(&self, call: Node<'t>, index: usize, depth: usize) -> String {
        let callee =
            call.child_by_field_id(*FUNCTION).map_or(String::new(), |function| self.callee_within(function, depth));
        if let Some(name) = callee.strip_prefix('.')
            && let Some(function) = self.functions.get(name)
        {
            return self.result(*function, index);
        }
        if let Some((_, found)) = RESULTS.iter().find(|(name, _)| index == 0 && *name == callee) {
            return (*found).to_owned();
        }
        if let Some((owner, method)) = callee.strip_prefix('(').and_then(|rest| rest.split_once(")."))
            && let Some(function) = self.method(owner, method)
        {
            return self.result(function, index);
        }
        let method = callee.rsplit('.').next().unwrap_or("");
        let known = METHOD_RESULTS.iter().find(|(name, _)| index == 0 && callee.starts_with('(') && *name == method);
        known.map_or(String::new(), |(_, found)| (*found).to_owned())
    }

    fn result(&self, function: Node<'t>, index: usize) -> String {
        let Some(result) = function.child_by_field_name("result") else { return String::new() };
        if result.kind() != "parameter_list" {
            return if index == 0 { self.type_text(result) } else { String::new() };
        }
        let mut types = Vec::new();
        for declaration in children(result) {
            let mut cursor = declaration.walk();
            let names = declaration.children_by_field_name("name", &mut cursor).filter(|name| name.is_named()).count();
            let of = declaration.child_by_field_name("type").map_or(String::new(), |node| self.type_text(node));
            types.extend(std::iter::repeat_n(of, names.max(1)));
        }
        types.get(index).cloned().unwrap_or_default()
    }

    /// The method of this name of a type of this file.
    pub(super) fn method(&self, owner: &str, name: &str) -> Option<Node<'t>> {
        let owner = owner.trim_start_matches('*');
        self.methods.get(name)?.iter().copied().find(|method| {
            let receiver = method.child_by_field_name("receiver").and_then(|list| list.named_child(0));
            let of =
                receiver.and_then(|receiver| receiver.child_by_field_name("type")).map(|node| self.type_text(node));
            of.is_some_and(|of| of.trim_start_matches('*') == owner)
        })
    }

    /// The import path that an identifier stands for.
    pub(super) fn package(&self, node: Node<'t>) -> Option<&str> {
        if node.kind() != "identifier" || self.variable_id(node).is_some() {
            return None;
        }
        self.packages.get(self.source(node)).map(String::as_str)
    }

    /// What a call calls: `os/exec.Command`, `(*net/http.Client).Do`, `.local`, or a builtin's name with a dot before it.
    pub(super) fn callee(&self, call: Node<'t>) -> String {
        let Some(function) = call.child_by_field_id(*FUNCTION) else { return String::new() };
        self.callee_of(function)
    }

    pub(super) fn callee_of(&self, function: Node<'t>) -> String {
        self.callee_within(function, 0)
    }

    fn callee_within(&self, function: Node<'t>, depth: usize) -> String {
        match function.kind() {
            "identifier" => format!(".{}", self.source(function)),
            "selector_expression" => {
                let operand = function.child_by_field_name("operand");
                let name = function.child_by_field_id(*FIELD).map_or("", |name| self.source(name));
                match operand {
                    Some(operand) => match self.package(operand) {
                        Some(path) => format!("{path}.{name}"),
                        None => format!("({}).{name}", self.type_within(operand, depth + 1)),
                    },
                    None => String::new(),
                }
            }
            _ => String::new(),
        }
    }
}

fn element_of(of: &str) -> String {
    if of == "string" {
        return "uint8".to_owned();
    }
    if let Some(rest) = of.strip_prefix("map[") {
        return rest.split_once(']').map_or("", |(_, value)| value).to_owned();
    }
    match of.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((_, element)) => element.to_owned(),
        None => String::new(),
    }
}

/// The arguments of a call; of conversions to types that the grammar knows, the operand.
pub(super) fn arguments(call: Node<'_>) -> Vec<Node<'_>> {
    match call.child_by_field_name("arguments") {
        Some(list) => children(list),
        None => call.child_by_field_name("operand").into_iter().collect(),
    }
}
