//! Lines that hold no secret, though they look as if: no rule for secrets says anything about them, in no kind of file.

use domain::Category;
use domain::diff::Diff;

use crate::config::Config;
use crate::engine::Law;
use crate::sample;

const LINES: &[&str] = &[
    "API_KEY=your_api_key_here",
    "api_key: \"<YOUR_API_KEY>\"",
    "password = \"changeme\"",
    "password: \"${DB_PASSWORD}\"",
    "token = os.environ[\"GITHUB_TOKEN\"]",
    "secret = config.get('secret')",
    "aws_secret_access_key = {{ aws_secret }}",
    "token: {{ .Values.token | quote }}",
    "password: !vault |",
    "password: ENC[AES256_GCM,data:Tr7o1bmZkHkBk=,iv:1=,aad:No=,tag:k=,type:str]",
    "db_password: $ANSIBLE_VAULT;1.1;AES256",
    "export GITHUB_TOKEN=$(gh auth token)",
    "ghp_short",
    "glpat-tooshort",
    concat!("sk_liv", "e_"),
    concat!("xox", "b-not-a-real-token"),
    concat!("AKI", "AIOSFODNN7EXAMPLE"),
    concat!("wJal", "rXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    concat!("pk_liv", "e_TYooMQauvdEDq54NiTphI7jx"),
    concat!("ssh-rsa AAA", "AB3NzaC1yc2EAAAADAQABAAABgQC7vbqajDhA me@host"),
    concat!("-----BEGIN", " PUBLIC KEY-----"),
    concat!("-----BEGIN", " CERTIFICATE-----"),
    "commit a94a8fe5ccb19ba61c4c0873d391e987982fbbd3",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "\"integrity\": \"sha512-Z7C/XrUkFJ5G0HYL4/cmyfZ3XKBqGDm4fLM5fVtWy3mSN+PZUU0k3XWMdpPLkYjHKPkBJQ7wGcGvZC+Vr2Mvow==\"",
    "id: 3f0c9a52-8a0e-5a52-9f6e-0d5c1c0f7a11",
    "request_id = \"3f0c9a52-8a0e-5a52-9f6e-0d5c1c0f7a11\"",
    "secretName: my-app-tls-secret-2024",
    "tokenUrl: https://auth.acme.io/oauth2/v1/token",
    "password_hash_algorithm = \"pbkdf2_sha256\"",
    "access_token_lifetime: 3600",
    "<input type=\"password\" name=\"password1\" placeholder=\"Password123\">",
    "if (password === 'password') return false;",
    "const TOKEN_REGEX = /^[a-f0-9]{40}$/;",
    "private_key_path = \"/etc/ssl/private/server-01.key\"",
    "GOOGLE_APPLICATION_CREDENTIALS=/secrets/gcp-sa-key-1.json",
    "apiKey: process.env.STRIPE_API_KEY_2",
    "token = \"token\"",
    "mixpanelKey: mixpanelKeysByProject1.getOrDefault(project),",
    "\"auth\": \"Authentication\",",
    "password = \"********\"",
    "password = \"xxxxxxxxxxxxxxxx\"",
    "client_secret = \"REDACTED\"",
    "client_secret = \"client_secret\"",
    "secret_key = \"insert-your-secret-key-here\"",
    concat!("postgres:/", "/user:pass@localhost:5432/db"),
    "mongodb://localhost:27017/app",
    concat!("redis:/", "/:@localhost:6379"),
    "https://github.com/acme/repo/commit/a94a8fe5ccb19ba61c4c0873d391e987982fbbd3",
    concat!("https://hooks.s", "lack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"),
    "Authorization: Bearer <token>",
    "Authorization: Bearer $TOKEN",
    "curl -u user:$PASSWORD https://x",
    "curl -H \"Authorization: Bearer ${TOKEN}\" https://x",
    "NPM_TOKEN=${NPM_TOKEN}",
    "//npm.acme.io/:_authToken=${NPM_TOKEN}",
    concat!("eyJ", "hbGciOiJIUzI1NiJ9"),
    "key_12345",
    concat!("dop_v1", "_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    "00000000-0000-0000-0000-000000000000",
    "ALGOLIA_API_KEY=short",
    "datadog_api_key = \"not-a-key\"",
    "heroku_api_key = \"not-a-uuid-at-all-but-words\"",
    concat!(
        "VAPID_PUBLIC_KEY=BEFu",
        "u_r7cd5hElHB6P9Z1bysARpVxRljjRZEmlrfMTPT2G_GRTGrCOid4WCk4PAnyaFXLPa0sOLMnMMS1sMrMRs"
    ),
    "\"apiKey\": \"{{apiKey}}\"",
    "password: 'test'",
    "S3_SECRET=%SECRET%",
    "token := strings.TrimSpace(string(b))",
    "const secretsManagerClient = new SecretsManagerClient({ region: \"eu-west-1\" });",
    "csrf_token: \"{{ csrf_token() }}\"",
    "xcode: objectVersion = 46; 83CBBA001A601D0E00E9B192 /* Bundle */",
    "image: ghcr.io/acme/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "github_token_permissions: \"contents-read-only-v2\"",
    "secrets.GITHUB_TOKEN",
    "facebook_app_name = \"Acme2000AppForShopping\"",
    "twilio_sid = \"ACxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
    concat!("SENDGRID_API_KEY=SG", ".xxxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    "secret/data/app#password",
    "{\"password\": \"string\", \"token\": \"string\"}",
    concat!("AIz", "aSyXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"),
    "linear gradient(#a1b2c3d4e5f60718293a4b5c6d7e8f90)",
    "the password is required",
    "Please enter your password: ",
    "bearerFormat: JWT",
    "oauth_token_secret_2 = request.args.get('oauth_token_secret_2')",
    concat!("encrypted_password = \"AQI", "CAHhAbCdEf0123456789abcdefGHIJKLMNOP==\""),
    "passwordEncoder = \"org.springframework.security.crypto.bcrypt.BCryptPasswordEncoder2\"",
    "spring.datasource.password=ENC(G6N718UuyPE5bHyWKyuLQSm02auQPUtm)",
    "AWS_SECRET_ACCESS_KEY: ${{ secrets.AWS_SECRET_ACCESS_KEY }}",
];

#[test]
fn what_stands_where_a_secret_would_is_no_finding() {
    let law = Law::new(&Config::default()).unwrap();
    for path in ["src/main.py", "deploy/values.yaml", "notes.txt", ".env", "web/app.ts", "README.md"] {
        for line in LINES {
            let findings = law.scan(&Diff { files: vec![sample::added(path, line)] }).findings;
            let secrets: Vec<_> = findings.iter().filter(|finding| finding.category == Category::Secret).collect();
            assert!(secrets.is_empty(), "{path}: {line}: {}", secrets[0].rule_id);
        }
    }
}
