//! Each row: a program, and the rules that must speak, with their lines.

use domain::Severity;
use proptest::prelude::*;

use crate::sample::{added, modified, scan};

/// The rules of the category code, without `code.python.`, with their lines.
fn found(files: Vec<domain::diff::FileDiff<'_>>) -> Vec<(String, u32)> {
    let findings = scan(files).findings.into_iter().filter(|finding| finding.rule_id.starts_with("code."));
    let mut found: Vec<_> =
        findings.map(|f| (f.rule_id.replace("code.python.", "").replace("code.", ""), f.line)).collect();
    found.sort_by_key(|(rule, line)| (*line, rule.clone()));
    found
}

#[track_caller]
fn check(text: &str, expected: &[(&str, u32)]) {
    let expected: Vec<_> = expected.iter().map(|(rule, line)| ((*rule).to_owned(), *line)).collect();
    assert_eq!(found(vec![added("src/app.py", text)]), expected, "{text}");
}

#[test]
fn calls_are_found_by_what_their_names_stand_for() {
    check("from marshal import loads as read\nread(data)", &[("marshal", 2)]);
    check("import pickle as p\nx = p.load(f)", &[("import-pickle", 1), ("pickle", 2)]);
    check("from django.utils.safestring import mark_safe\nmark_safe(x)", &[("mark-safe", 2)]);
    check("import tempfile\ntempfile.mktemp()", &[("mktemp", 2)]);
    check("import random\nrandom.choice(x)", &[("insecure-random", 2)]);
    check("from cryptography.hazmat.primitives.ciphers import modes\nmodes.ECB()", &[("ecb-mode", 2)]);
    check("import xml.etree.ElementTree as et\net.parse(f)", &[("import-xml", 1), ("xml-parser", 2)]);
    check("import urllib.request as r\nr.urlopen(u)", &[("url-open", 2)]);
    check("m = __import__('telnetlib')\nexec(code)\neval(code)", &[("import-plain-text", 1), ("exec", 2), ("eval", 3)]);
    check("import picklelike\npicklelike.loads(x)\nself.eval(x)\nrandom_choice(x)\nobj.load(f)", &[]);
}

#[test]
fn processes_are_found_with_their_shells() {
    let shell = "import os\nos.system('ls ' + d)\nos.system('/bin/ls')";
    check(shell, &[("os-shell", 2), ("os-shell", 3)]);
    let piece = "subprocess.run(cmd,\n    shell=True)\nsubprocess.run(['/bin/ls'])\nsubprocess.run(['ls'])";
    check(piece, &[("subprocess-shell", 2), ("subprocess", 3), ("partial-path", 4), ("subprocess", 4)]);
    check("subprocess.call('/bin/ls', shell=False)", &[("subprocess", 1)]);
    check("run(cmd, shell=True)\nos.execv('/bin/ls', a)", &[("shell-argument", 1), ("os-exec", 2)]);
    check("os.popen('/bin/tar cf x *')", &[("os-shell", 1), ("shell-wildcard", 1)]);
    check("import paramiko\nc.exec_command(x)", &[("ssh-command", 2)]);
    check("x.exec_command(y)\nrun(cmd, shell=0)", &[]);
}

#[test]
fn weak_cryptography_is_found() {
    check("import hashlib as h\nh.md5(x)\nh.new('SHA1', x)", &[("weak-hash", 2), ("weak-hash", 3)]);
    check("import hashlib\nhashlib.sha256(x)\nhashlib.md5(x, usedforsecurity=False)\nhashlib.new('sha256')", &[]);
    check(
        "ssl.wrap_socket(s, ssl_version=ssl.PROTOCOL_SSLv3)\nssl.wrap_socket(s)",
        &[("tls-version", 1), ("tls-version-unset", 2)],
    );
    check("def f(v=ssl.PROTOCOL_TLSv1):\n    return v", &[("tls-version", 1)]);
    let keys = "from cryptography.hazmat.primitives.asymmetric import rsa\nrsa.generate_private_key(65537, 1024)\nrsa.generate_private_key(65537, key_size=2048)";
    check(keys, &[("short-key", 2)]);
    check("c.set_missing_host_key_policy(paramiko.AutoAddPolicy())", &[("ssh-host-key", 1)]);
    check(
        "from pysnmp.hlapi import *\nCommunityData('p', mpModel=0)\nUsmUserData('a')",
        &[("snmp-version", 2), ("snmp-plain-text", 3)],
    );
}

#[test]
fn the_web_and_its_data_are_found() {
    check("import flask\napp.run(debug=True)", &[("flask-debug", 2)]);
    check("app.run(debug=True)\nflask.run(debug=False)", &[]);
    check(
        "requests.get(u)\nrequests.get(u, timeout=None)\nrequests.get(u, timeout=3)\nrequests.get(u, **k)",
        &[("request-without-timeout", 1), ("request-without-timeout", 2)],
    );
    check(
        "q.extra(where=[w])\nq.extra(where=['a'])\nq.extra(select={'a': b})",
        &[("django-extra", 1), ("django-extra", 3)],
    );
    check("from django.db.models.expressions import RawSQL\nRawSQL(x)\nRawSQL('a')", &[("django-raw-sql", 2)]);
    check(
        "import jinja2\njinja2.Environment(loader=l)\njinja2.Environment(autoescape=True)",
        &[("jinja-autoescape", 2)],
    );
    check("from mako.template import Template\nTemplate('x')", &[("mako-template", 2)]);
    check("from markupsafe import Markup\nMarkup(x)\nMarkup('<b>')", &[("markup", 2)]);
    check("from django.utils import safestring\nsafestring.SafeText(x)", &[("safe-string", 2)]);
}

#[test]
fn other_calls_are_found_by_their_arguments() {
    check("os.chmod(p, 0o777)\nos.chmod(p, 0o600)\nos.chmod(p, mode)", &[("file-permissions", 1)]);
    check("import tarfile\nt.extractall()\nt.extractall(filter='data')", &[("tar-extract", 2)]);
    check("import yaml\nyaml.load(f)\nyaml.load(f, Loader=yaml.SafeLoader)\nyaml.safe_load(f)", &[("yaml-load", 2)]);
    check("import logging.config\nlogging.config.listen(1)", &[("logging-listen", 2)]);
    check("import torch\ntorch.load(f)\ntorch.load(f, weights_only=True)", &[("torch-load", 2)]);
    let models = "from transformers import AutoModel\nAutoModel.from_pretrained('a/b')\nAutoModel.from_pretrained('a/b', revision='0123456789abcdef0123456789abcdef01234567')";
    check(models, &[("hugging-face-revision", 2)]);
}

#[test]
fn statements_are_found() {
    check("try:\n    f()\nexcept Exception as e:\n    pass", &[("swallowed-exception", 3)]);
    check("for x in y:\n    try:\n        f()\n    except:\n        continue", &[("swallowed-exception", 4)]);
    check("try:\n    f()\nexcept ValueError:\n    pass\nexcept Exception:\n    log()", &[]);
    check("assert x", &[("assert", 1)]);
}

#[test]
fn texts_are_found_where_they_do_something() {
    check("HOST = '0.0.0.0'\n\"\"\"0.0.0.0\"\"\"", &[("bind-all-interfaces", 1)]);
    check("p = '/tmp/x'\nq = 'a/tmp'", &[("temporary-folder", 1)]);
    let passwords =
        "password = 'x1'\nd = {'token': 'x'}\nf(secret='x')\nif user_pwd == 'x': y()\ntokenizer = 'x'\npassword = f()";
    check(
        passwords,
        &[
            ("hard-coded-password", 1),
            ("hard-coded-password", 2),
            ("hard-coded-password", 3),
            ("hard-coded-password", 4),
        ],
    );
    check("def f(a, password='x'):\n    pass", &[("hard-coded-password", 1)]);
    let sql = "a = 'select * from t where id = ' + x\nb = f'delete from t where id = {x}'\nc = 'update t set a = {}'.format(x)\nd = 'select a from t'\nlog('select one ' + x)";
    check(
        sql,
        &[("injection.sql-concatenation", 1), ("injection.sql-concatenation", 2), ("injection.sql-concatenation", 3)],
    );
}

#[test]
fn only_what_the_change_adds_is_found() {
    let hunk = " import pickle\n def f():\n+    x = 1\n     return pickle.loads(y)";
    assert_eq!(found(vec![modified("src/app.py", hunk)]), []);
    let hunk = " import pickle\n def f():\n+    return pickle.loads(y)";
    assert_eq!(found(vec![modified("src/app.py", hunk)]), [("pickle".to_owned(), 12)]);
}

#[test]
fn a_password_is_not_shown() {
    let findings = scan(vec![added("src/app.py", "password = 'hunter2'\ndb = {'pwd': 'hunter2'}")]).findings;
    assert!(!findings.is_empty() && !format!("{findings:?}").contains("hunter2"), "{findings:?}");
}

#[test]
fn a_debugger_that_is_started_by_hand_is_a_habit() {
    let text = "import flask\nif __name__ == '__main__':\n    app.run(debug=True)";
    let findings = scan(vec![added("src/app.py", text)]).findings;
    assert_eq!(findings.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Medium]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(120) })]

    #[test]
    fn no_text_is_too_strange(text in "(?s)(import |from |os|\\.|system|\\(|\\)|'|\"|f\"|\\{|\\}|pickle|shell=True|\n|    |def |=|%|\\+|password|[^a-z]|é){0,120}") {
        scan(vec![added("src/app.py", &text)]);
    }
}

#[test]
fn a_test_checks_by_assert() {
    for (path, expected) in
        [("tests/api/orders.py", 0), ("shop/test_orders.py", 0), ("conftest.py", 0), ("src/app.py", 1)]
    {
        assert_eq!(found(vec![added(path, "assert x")]).len(), expected, "{path}");
    }
}

#[test]
fn a_bracket_that_only_a_text_or_a_comment_closes_is_open() {
    for hunk in [
        " eval(a, #)\n+b)",
        " eval(\")\"\n++ b)",
        " eval(a + ')'\n++ b)",
        " x = (eval(a\n+))",
        " )), eval(a\n+)",
        " eval(a]\n+, b)",
    ] {
        // Compared with what is found in the whole.
        _ = found(vec![modified("src/app.py", hunk)]);
    }
}
