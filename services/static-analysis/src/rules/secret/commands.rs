//! What the rows of `commands.toml` find and what they do not: their expressions cannot be drawn from.

use domain::Category;
use domain::diff::Diff;

use crate::config::Config;
use crate::engine::Law;
use crate::sample;

const VALUE: &str = concat!("q7ZpW2m", "W9xKd4LrT8");
const HEX: &str = concat!("0a7b2c9d4e1f6053", "8a7b2c9d4e1f6053");

/// A path, a line with `V` for a value or `H` for one in hexadecimal, and the end of the rule's id.
const FOUND: &[(&str, &str, &str)] = &[
    ("run.sh", "mysql -u root -p@V app < d.sql", "command.mysql-password"),
    ("run.sh", "mysqldump -uroot -p'@V' app", "command.mysql-password"),
    ("run.sh", "docker login -u bob -p @V reg.acme.io", "command.login-password"),
    ("run.sh", "mongodump --host h --username bob --password @V", "command.login-password"),
    ("ci.yml", "  - run: helm push --docker-password @V", "command.password-option"),
    ("run.sh", "sqlcmd -S s -P @V", "command.port-password"),
    ("run.sh", "redis-cli -h c.acme.io -a @V ping", "command.port-password"),
    ("run.sh", "sqlplus app/@V@db.acme.io:1521/ORCL", "command.port-password"),
    ("run.sh", "echo @V | docker login -u bob --password-stdin", "command.password-piped"),
    ("run.sh", "curl -d 'user=bob&password=@V' https://a.acme.io", "command.form-password"),
    ("a.sql", "CREATE USER 'app'@'%' IDENTIFIED BY '@V';", "sql.user-password"),
    ("a.sql", "ALTER ROLE app PASSWORD '@V';", "sql.user-password"),
    ("a.sql", "SET PASSWORD FOR 'a'@'b' = PASSWORD('@V');", "sql.user-password"),
    ("a.go", "dsn := \"app:@V@tcp(db.acme.io:3306)/app\"", "go.dsn-password"),
    ("a.py", "connect(\"host=db.acme.io dbname=app user=app password=@V\")", "postgres.keyword-password"),
    ("a.java", "u = \"jdbc:oracle:thin:app/@V@db.acme.io:1521/ORCL\"", "oracle.thin-password"),
    ("a.php", "$c = new PDO('mysql:host=db', 'app', '@V');", "code.login-arguments"),
    ("a.php", "$c = mysqli_connect('db', 'app', '@V');", "code.login-arguments"),
    ("a.java", "DriverManager.getConnection(url, \"root\", \"@V\");", "code.login-arguments"),
    ("a.js", "jwt.sign(payload, '@V');", "code.crypto-key"),
    ("a.py", "hmac.new(b\"@V\", m)", "code.crypto-key"),
    ("a.sh", "git clone https://@H@git.acme.io/a/b.git", "url.git-token"),
    ("a.js", "fetch(\"https://api.acme.io/v1?api_key=@H\")", "url.token-parameter"),
    ("a.js", "fetch(\"https://api.acme.io/v1?u=a&password=@V\")", "url.password-parameter"),
    (".pgpass", "db.acme.io:5432:app:bob:@V", "postgres.pgpass"),
    (".npmrc", "//npm.acme.io/:_auth=@V", "npm.login"),
    ("a.ps1", "$p = '@V' | ConvertTo-SecureString -AsPlainText -Force", "powershell.secure-string-piped"),
    ("a.ps1", "ConvertTo-SecureString -AsPlainText '@V' -Force", "powershell.secure-string-piped"),
    ("a.py", "u = \"https://api.telegram.org/bot6852834195:AA@Vq7ZpW2mW9xKd4LrT/send\"", "telegram.address-token"),
    (".env", "MAIL_PASSWORD=qzjw kxvb nhtr mfgd", "google.app-password"),
    ("Fastfile", "ENV[\"APPLE_PASS\"] = \"dyve-xgnc-hhuk-jaig\"", "apple.app-password"),
    ("wp-config.php", "define('AUTH_KEY', '@V^(b2@zn*M,i)!sS@V');", "wordpress.salt"),
    ("web.config", "<machineKey validationKey=\"@H\" />", "dotnet.machine-key"),
    ("redis.conf", "requirepass @V", "redis.config-password"),
    ("a.js", "  'Ocp-Apim-Subscription-Key': '@H',", "azure.request-key"),
    ("build.gradle", "    storePassword \"@V\"", "gradle.signing-password"),
    (
        "a.py",
        "W = \"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=56abd434-b281-4f65-af12-1f0c929090b7\"",
        "webhook.address",
    ),
    ("auth.json", "{\"bearer\": {\"repo.acme.io\": \"@V\"}}", "composer.auth"),
    ("a.ovpn", concat!("-----BEGIN ", "OpenVPN Static key V1-----"), "openvpn.static-key"),
    ("wpa_supplicant.conf", "  psk=\"@V\"", "wifi.passphrase"),
    ("ipsec.secrets", "1.2.3.4 : PSK \"@V\"", "ipsec.shared-key"),
    ("a.php", "'cookieValidationKey' => '@V@V',", "code.salt"),
    ("hardhat.config.js", "accounts: [\"0x@H@H\"],", "hardhat.account-key"),
    ("r.cfg", "enable password 7 @V", "cisco.device-password"),
    ("a.yml", "  routing_key: @H", "pagerduty.integration-key"),
    ("a.py", "telegram_api_hash = \"@H\"", "telegram.api-hash"),
];

/// Lines of the same sort in which nothing is secret.
const NOT_FOUND: &[&str] = &[
    "mysql -u root -p app",
    "mysql -u root -p\"$MYSQL_ROOT_PASSWORD\"",
    "docker run --name mysql -p3306:3306 mysql:8",
    "docker run -u root -p 8080:80 nginx",
    "docker login -u bob -p $PASSWORD",
    "sqlcmd -S s -P $SA_PASSWORD",
    "tool --password=changeme2024 --token-file=/run/secrets/token2",
    "tool --password password123",
    "echo $TOKEN | docker login -u bob --password-stdin",
    "CREATE USER app IDENTIFIED BY 'password';",
    "CREATE USER app WITH PASSWORD '${DB_PASSWORD}';",
    "dsn := fmt.Sprintf(\"%s:%s@tcp(%s)/app\", user, password, host)",
    "connect(host=host, user=user, password=args.auth_password2)",
    "def connect(self, action=None, username=None, password=None):",
    "new PDO($dsn, $user, $password)",
    "DriverManager.getConnection(url, user, password)",
    "jwt.sign(payload, process.env.JWT_SECRET)",
    "git clone https://github.com/acme/app.git",
    "https://api.acme.io/v1?api_key=YOUR_API_KEY_GOES_HERE",
    "https://api.acme.io/v1?access_token=${token}",
    "ConvertTo-SecureString -AsPlainText $env:PW2 -Force",
    "MAIL_PASSWORD=your mail pass word",
    "define('AUTH_KEY', 'put your unique phrase here');",
    "upgrade openssl sources to quictls/openssl-3.0.3+quic2",
    "accounts: [process.env.PRIVATE_KEY]",
    "mnemonic = \"test test test test test test test test test test test junk\"",
];

#[test]
fn each_row_finds_what_it_is_for() {
    let law = Law::new(&Config::default()).unwrap();
    for (path, line, id) in FOUND {
        let line = line.replace("@V", VALUE).replace("@H", HEX);
        let findings = law.scan(&Diff { files: vec![sample::added(path, &line)] }).findings;
        let ids: Vec<_> = findings.iter().map(|finding| finding.rule_id.as_str()).collect();
        assert!(ids.contains(&format!("secret.{id}").as_str()), "{path}: {line}: {ids:?}");
    }
}

#[test]
fn what_holds_no_password_is_no_finding() {
    let law = Law::new(&Config::default()).unwrap();
    for path in ["src/main.py", "deploy/up.sh", "deploy/values.yaml", "notes.txt"] {
        for line in NOT_FOUND {
            let findings = law.scan(&Diff { files: vec![sample::added(path, line)] }).findings;
            let secrets: Vec<_> = findings.iter().filter(|finding| finding.category == Category::Secret).collect();
            assert!(secrets.is_empty(), "{path}: {line}: {}", secrets[0].rule_id);
        }
    }
}
