//! Text of a stranger that becomes a part of a program: an expression is put into a script before any shell reads it.

use domain::Severity;

use super::super::report::Report;
use super::super::yaml::Yaml;
use super::expression;
use super::rule;
use super::workflow::{Step, Workflow};
use crate::rules::Rule;

pub(super) const RULES: &[&Rule] = &[&RULE, &POSSIBLE];

const REFERENCES: &[&str] = &[
    "https://docs.github.com/en/actions/concepts/security/script-injections",
    "https://securitylab.github.com/resources/github-actions-untrusted-input/",
];

static RULE: Rule = Rule {
    cwe: 94,
    hazard: "ci.template-injection",
    remediation: "Put the value into env: and let the script read the variable in quotes; what is in a variable is not run.",
    references: REFERENCES,
    aliases: &["template-injection", "CKV_GHA_2"],
    ..rule("infrastructure.github.template-injection", "Stranger's text in a script", Severity::High)
};
static POSSIBLE: Rule = Rule {
    cwe: 94,
    hazard: "ci.template-injection",
    remediation: "Put the value into env: and let the script read the variable in quotes; what is in a variable is not run.",
    references: REFERENCES,
    aliases: &["template-injection"],
    ..rule("infrastructure.github.template-expansion", "Script that is put together from values", Severity::Low)
};

/// Inputs of actions that are run as programs.
const SINKS: &[(&str, &[&str])] = &[
    ("actions/github-script", &["script"]),
    ("azure/powershell", &["inlineScript"]),
    ("azure/cli", &["inlineScript"]),
    ("appleboy/ssh-action", &["script"]),
    ("amadevus/pwsh-script", &["script"]),
    ("jannekem/run-python-script-action", &["script"]),
    ("cardinalby/js-eval-action", &["expression"]),
    ("addnab/docker-run-action", &["options", "run"]),
    ("mikefarah/yq", &["cmd"]),
    ("nick-fields/retry", &["command"]),
    ("nick-invision/retry", &["command"]),
];

/// How far whoever starts the workflow can choose a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Not at all, or not its form: a number, a hash, a word out of a list.
    Fixed,
    /// As a name that has rules: no blanks, some signs.
    Name,
    /// At will.
    Free,
    /// It depends on what another part of the workflow does.
    Unknown,
}

pub(super) fn check(report: &mut Report<'_, '_>, workflow: &Workflow<'_>, step: &Step<'_>) {
    for script in scripts(step) {
        judge(report, script, worst_of(workflow), |path| reach(path, Some(workflow), step));
    }
}

/// The same in a piece of a file: of the job nothing is known.
pub(super) fn check_fragment(report: &mut Report<'_, '_>, step: &Step<'_>) {
    for script in scripts(step) {
        judge(report, script, RULE.severity, |path| match reach(path, None, step) {
            Reach::Unknown | Reach::Name => Reach::Fixed,
            known => known,
        });
    }
}

fn scripts<'d>(step: &Step<'d>) -> Vec<Yaml<'d>> {
    let mut scripts: Vec<_> = step.run().into_iter().collect();
    for (action, inputs) in SINKS {
        if step.is_action(&[action]) {
            scripts.extend(inputs.iter().filter_map(|input| step.input(input)));
        }
    }
    scripts
}

/// Events that only those bring about who may write to the repository, or nobody.
const INNER_EVENTS: &[&str] = &[
    "push",
    "workflow_dispatch",
    "schedule",
    "workflow_call",
    "release",
    "create",
    "delete",
    "merge_group",
    "repository_dispatch",
    "deployment",
];

/// How bad the worst is: where a stranger cannot start the workflow, his text only gets there by somebody's merge.
fn worst_of(workflow: &Workflow<'_>) -> Severity {
    let triggers = workflow.triggers();
    let inner = !triggers.is_empty() && triggers.iter().all(|(name, ..)| INNER_EVENTS.contains(name));
    if inner { Severity::Medium } else { RULE.severity }
}

/// True for a value that only the [`INNER_EVENTS`] have.
fn is_of_inner_event(path: &[String]) -> bool {
    let is = |at: usize, names: &[&str]| path.get(at).is_some_and(|part| names.iter().any(|name| part == name));
    is(0, &["inputs"]) || is(0, &["github"]) && is(1, &["event"]) && is(2, &["release", "inputs", "client_payload"])
}

fn judge(report: &mut Report<'_, '_>, script: Yaml<'_>, worst_severity: Severity, reach: impl Fn(&[String]) -> Reach) {
    let text = script.text().unwrap_or("");
    let mut line_cursor = script.line();
    for place in expression::places(text) {
        let inside = &text[place];
        let Some(read) = expression::parse(inside) else { continue };
        let mut sources = Vec::new();
        read.sources(&mut sources);
        let only_inner = sources.iter().filter(|path| reach(path) == Reach::Free).all(|path| is_of_inner_event(path));
        let severity = if only_inner { worst_severity.min(Severity::Medium) } else { worst_severity };
        let worst = sources.into_iter().map(&reach).max_by_key(|reach| match reach {
            Reach::Fixed => 0,
            Reach::Unknown => 1,
            Reach::Name => 2,
            Reach::Free => 3,
        });
        let line = line_with(report, line_cursor, inside.trim()).unwrap_or(script.line());
        line_cursor = line_cursor.max(line);
        match worst {
            Some(Reach::Free) => report.at_line(
                &RULE,
                line,
                severity,
                "whoever opens an issue or a pull request writes a part of this script",
            ),
            Some(Reach::Name) => report.at_line(
                &POSSIBLE,
                line,
                POSSIBLE.severity,
                "whoever chooses this name writes a part of this script",
            ),
            Some(Reach::Unknown) => report.at_line(
                &POSSIBLE,
                line,
                Severity::Info,
                "where this value comes from decides what the script does",
            ),
            Some(Reach::Fixed) | None => {}
        }
    }
}

/// The line from `start` on that holds this text. A script's own lines are not known to the parser.
fn line_with(report: &Report<'_, '_>, start: usize, text: &str) -> Option<usize> {
    let first = text.lines().next()?;
    (start..report.view.len()).take(SCRIPT_LINES_MAX).find(|line| report.view.text(*line).contains(first))
}

/// Lines of a script that are looked through.
const SCRIPT_LINES_MAX: usize = 500;

fn reach(path: &[String], workflow: Option<&Workflow<'_>>, step: &Step<'_>) -> Reach {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["inputs", name] | ["github", "event", "inputs", name] => input(name, workflow),
        ["github", rest @ ..] => github(rest),
        ["env", name] => environment(name, workflow, step),
        ["matrix", rest @ ..] => matrix(rest, step),
        ["needs", _, "result"] | ["steps", _, "outcome" | "conclusion"] => Reach::Fixed,
        ["secrets" | "runner" | "job" | "strategy", ..] => Reach::Fixed,
        _ => Reach::Unknown,
    }
}

/// What of GitHub's context is whose: after the webhooks' own documentation.
fn github(path: &[&str]) -> Reach {
    match path {
        [
            "sha"
            | "run_id"
            | "run_number"
            | "run_attempt"
            | "event_name"
            | "repository"
            | "repository_id"
            | "repository_owner"
            | "repository_owner_id"
            | "actor_id"
            | "workspace"
            | "job"
            | "ref_type"
            | "ref_protected"
            | "server_url"
            | "api_url"
            | "graphql_url"
            | "token"
            | "action"
            | "action_path"
            | "action_repository"
            | "action_ref"
            | "action_status"
            | "event_path"
            | "env"
            | "path"
            | "output"
            | "retention_days"
            | "secret_source"
            | "workflow_sha"
            | "repositoryurl"
            | "workflow"
            | "state"
            | "step_summary",
        ] => Reach::Fixed,
        // Of a pull request these are numbers; of a push, names that only those choose who may push.
        ["ref" | "ref_name" | "actor" | "triggering_actor" | "base_ref" | "workflow_ref"] => Reach::Name,
        ["head_ref"] => Reach::Free,
        ["event", rest @ ..] => event(rest),
        _ => Reach::Unknown,
    }
}

fn event(path: &[&str]) -> Reach {
    let Some(last) = path.last() else { return Reach::Free };
    let has = |word: &str| path.contains(&word);
    match *last {
        "title" | "body" | "message" | "label" | "page_name" | "default_branch" | "head_branch" | "display_title"
        | "description" | "homepage" | "head_commit" | "commits" | "comment" | "issue" | "pull_request"
        | "client_payload" | "release" => Reach::Free,
        "ref" | "head_ref" => {
            if has("base") {
                Reach::Name
            } else {
                Reach::Free
            }
        }
        "name" | "email" => {
            let person = has("author") || has("committer") || has("head_commit") || has("commits") || has("pusher");
            let choice = has("release") || has("milestone") || has("answer") || has("discussion");
            if person || choice { Reach::Free } else { Reach::Name }
        }
        "login" | "username" | "full_name" | "tag_name" | "base_ref" => Reach::Name,
        _ if has("client_payload") || has("inputs") => Reach::Free,
        "number" | "id" | "node_id" | "sha" | "before" | "after" | "action" | "state" | "draft" | "merged"
        | "merge_commit_sha" | "run_number" | "head_sha" | "conclusion" | "status" | "created" | "deleted"
        | "forced" | "private" | "type" | "size" | "run_id" | "run_attempt" | "created_at" | "updated_at"
        | "author_association" | "event" | "workflow_id" | "additions" | "deletions" | "changed_files" | "url"
        | "html_url" | "diff_url" | "patch_url" | "clone_url" | "ssh_url" | "git_url" | "commits_url" | "ref_type"
        | "prerelease" | "locked" | "fork" | "schedule" | "check_suite_id" | "comments" | "timestamp" | "tree_id" => {
            Reach::Fixed
        }
        _ => Reach::Unknown,
    }
}

fn input(name: &str, workflow: Option<&Workflow<'_>>) -> Reach {
    let Some(workflow) = workflow else { return Reach::Unknown };
    let declared = |node: Yaml<'_>| {
        let own = node.get("inputs")?.get_ignoring_case(name)?;
        Some(own.text_at(&["type"]).map(str::to_owned).unwrap_or_default())
    };
    let types: Vec<_> = if workflow.is_action {
        declared(workflow.root).into_iter().collect()
    } else {
        workflow.triggers().into_iter().filter_map(|(_, _, settings)| declared(settings?)).collect()
    };
    let fixed = |kind: &String| matches!(kind.as_str(), "boolean" | "number" | "choice" | "environment");
    if !types.is_empty() && types.iter().all(fixed) { Reach::Fixed } else { Reach::Name }
}

/// A variable that the file itself sets to a constant is one.
fn environment(name: &str, workflow: Option<&Workflow<'_>>, step: &Step<'_>) -> Reach {
    let of = |node: Yaml<'_>| {
        let value = node.get("env")?.get_ignoring_case(name)?;
        Some(if value.text().is_some_and(|text| text.contains("${{")) { Reach::Name } else { Reach::Fixed })
    };
    let of_job = || step.job.and_then(|job| of(job.node));
    of(step.node).or_else(of_job).or_else(|| of(workflow?.root)).unwrap_or(Reach::Unknown)
}

/// A matrix that is written out is constant.
fn matrix(path: &[&str], step: &Step<'_>) -> Reach {
    let Some(matrix) = step.job.and_then(|job| job.node.at(&["strategy", "matrix"])) else { return Reach::Fixed };
    let Some(name) = path.first().filter(|_| matrix.is_mapping()) else { return Reach::Unknown };
    let included = matrix.get("include");
    let of_included = included.into_iter().flat_map(Yaml::items).filter_map(|one| one.get_ignoring_case(name));
    let values = matrix.get_ignoring_case(name).into_iter().chain(of_included);
    let computed = included.is_some_and(|list| list.text().is_some());
    let mut any = false;
    for value in values {
        any = true;
        if is_computed(value, VALUES_DEPTH_MAX) {
            return Reach::Unknown;
        }
    }
    if any || !computed { Reach::Fixed } else { Reach::Unknown }
}

const VALUES_DEPTH_MAX: usize = 8;

fn is_computed(value: Yaml<'_>, depth: usize) -> bool {
    value.text().is_some_and(|text| text.contains("${{"))
        || depth > 0
            && value.items().chain(value.entries().map(|(_, value)| value)).any(|inner| is_computed(inner, depth - 1))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, steps};
    use super::*;
    use crate::sample;

    #[track_caller]
    fn found(expression: &str, severity: Option<Severity>) {
        let text = steps("issues", &format!("- run: |\n    echo a\n    echo \"${{{{ {expression} }}}}\""));
        let file = sample::added(".github/workflows/ci.yml", &text);
        let hits = super::super::check(&file);
        let own = hits.iter().filter(|(id, _)| id.contains(".template-"));
        let got: Vec<_> = own.map(|(_, hit)| (hit.line.map(|(_, line)| line), hit.hit.severity)).collect();
        let expected: Vec<_> = severity.map(|severity| (Some(7), Some(severity))).into_iter().collect();
        assert_eq!(got, expected, "{expression}");
    }

    #[test]
    fn a_strangers_text_in_a_script_is_found() {
        for free in [
            "github.event.issue.title",
            "github.event.pull_request.body",
            "github.head_ref",
            "github.event.commits[0].message",
            "github.event.pull_request.head.ref",
            "github.event.head_commit.author.name",
            "toJSON(github.event)",
            "github.event.comment.body || 'x'",
            "github.event['issue']['title']",
        ] {
            found(free, Some(Severity::High));
        }
        // Only who may write to the repository chooses these.
        for inner in ["github.event.release.name", "github.event.client_payload.x"] {
            found(inner, Some(Severity::Medium));
        }
        found("github.event.release.name || github.head_ref", Some(Severity::High));
        for name in ["github.actor", "inputs.version", "github.ref_name"] {
            found(name, Some(Severity::Low));
        }
        found("steps.a.outputs.b", Some(Severity::Info));
        for fixed in [
            "github.sha",
            "github.event.number",
            "github.event.issue.title == 'x'",
            "secrets.A",
            "needs.a.result",
            "runner.os",
            "matrix.os",
        ] {
            found(fixed, None);
        }
    }

    #[test]
    fn what_the_file_itself_sets_is_constant() {
        let run = "- run: echo ${{ matrix.v }} ${{ env.A }}";
        let text = steps("push", run)
            .replace("    steps:", "    env: {A: b}\n    strategy: {matrix: {v: [1, 2]}}\n    steps:");
        check("template-expansion", &text, &[]);
        check("template-expansion", &text.replace("[1, 2]", "\"${{ fromJSON(needs.a.outputs.b) }}\""), &[8]);
        check("template-expansion", &text.replace("A: b", "A: \"${{ github.ref }}\""), &[8]);
        let inputs = |kind: &str| {
            steps("push", "- run: echo ${{ inputs.a }}")
                .replace("on: push", &format!("on: {{workflow_dispatch: {{inputs: {{a: {{type: {kind}}}}}}}}}"))
        };
        check("template-expansion", &inputs("boolean"), &[]);
        check("template-expansion", &inputs("string"), &[6]);
    }

    #[test]
    fn other_programs_are_scripts_too_and_variables_are_none() {
        let script =
            "- uses: actions/github-script@v7\n  with:\n    script: |\n      a(`${{ github.event.issue.title }}`)";
        check("template-injection", &steps("issues", script), &[9]);
        let variable = "- run: echo \"$TITLE\"\n  env:\n    TITLE: ${{ github.event.issue.title }}";
        check("template-injection", &steps("issues", variable), &[]);
    }

    #[test]
    fn where_no_stranger_starts_it_it_does_not_block() {
        let text = |on: &str| steps(on, "- run: echo ${{ github.event.head_commit.message }}");
        let path = ".github/workflows/a.yml";
        sample::finds_in_file(&RULE, path, &text("push"), &[(6, Severity::Medium)]);
        sample::finds_in_file(&RULE, path, &text("[push, pull_request]"), &[(6, Severity::High)]);
    }

    #[test]
    fn a_hunk_is_enough_to_see_it() {
        let hunk = "       - name: a\n+        run: echo ${{ github.event.issue.title }}\n       - name: b";
        sample::finds_in_hunk(&RULE, ".github/workflows/a.yml", hunk, &[(11, Severity::High)]);
        sample::finds_in_hunk(&POSSIBLE, ".github/workflows/a.yml", "+      - run: echo ${{ env.A }}", &[]);
    }
}
