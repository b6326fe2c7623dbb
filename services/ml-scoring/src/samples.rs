//! Deployments and rows to test with.

use domain::{
    Change, Deployment, DeploymentId, DiffDigest, FileChange, FileChangeKind, History, PullRequest, Repository,
    Revision,
};
use time::OffsetDateTime;

/// A deployment of which nothing is known but its files.
pub(crate) fn deployment(files: Vec<FileChange>) -> Deployment {
    let repository = Repository::parse("acme/shop").unwrap();
    let pull_request = PullRequest::new(7).unwrap();
    let revision = Revision::parse("0123456789abcdef").unwrap();
    Deployment {
        id: DeploymentId::derive(&repository, pull_request, &revision),
        repository,
        pull_request,
        revision,
        title: String::new(),
        author: String::new(),
        branch: String::new(),
        base_branch: String::new(),
        labels: Vec::new(),
        environment: String::new(),
        opened_at: None,
        deploy_at: None,
        commits: None,
        accepted_at: OffsetDateTime::UNIX_EPOCH,
        submitted_by: String::new(),
        change: Change { diff: None, digest: DiffDigest::of(""), files, lines: None },
        history: History::default(),
    }
}

/// One file of a change.
pub(crate) fn file(path: &str, kind: FileChangeKind, lines_added: u32, lines_deleted: u32) -> FileChange {
    FileChange { path: path.to_owned(), old_path: None, kind, lines_added, lines_deleted, binary: false }
}

const CSV_HEADER: &str = "project,time,nf,la,ld,ns,entropy,new_files,binary_files,migration,deps,deps_only,config,\
    docs_only,tests_only,test_churn_share,fix,bot,n_commits,lead_hours,lt,ndev,age,nuc,exp,rexp,sexp,max_file_changes,\
    mean_file_changes,file_prior_reverts,author_prior_reverts,repo_reverts_14d,merged_prev_24h,repo_prior_prs,\
    repo_prior_reverts,label";

/// A line of training data: a reverted change of seven files.
pub(crate) const CSV_LINE: &str = "shop,1600000000,7,8,2,3,1.5,1,0,1,1,0,0,1,0,0.5,1,0,2,6.5,199,4,12.5,2,9,3.5,4,30,\
    11.5,,1,0,5,250,7,1";

/// Training data of these lines.
pub(crate) fn csv(lines: &[&str]) -> String {
    let mut text = CSV_HEADER.to_owned();
    for line in lines {
        text.push('\n');
        text.push_str(line);
    }
    text
}
