//! Calls that say by their name alone what is wrong: rows of names.

use domain::Severity;

use super::gate::is_word;
use super::{Call, gate};
use crate::rules::Rule;
use crate::rules::code::PROGRAM;
use crate::rules::code::gate::Trigger;
use crate::rules::code::program::Report;
use crate::rules::code::shown::{Place, Shown};

/// A rule about the callee's name.
pub(super) struct Row {
    pub(super) rule: Rule,
    /// Dotted names, as resolved.
    names: &'static [&'static str],
    message: &'static str,
}

/// Reports the rows that name the call.
pub(super) fn check(call: &Call<'_, '_>, report: &mut Report<'_>) {
    for row in CALLS {
        if row.names.contains(&call.name.as_str()) {
            report.at(&row.rule, call.node, row.message);
        }
    }
}

/// The functions that each row names.
pub(super) fn triggers() -> Vec<Trigger> {
    let trigger = |row: &'static Row| Trigger::of(&[&row.rule]).part(gate::calls(row.names));
    // In Python 2 it was a statement, too.
    let exec = |shown: &Shown<'_>, place: Place| is_word(shown, place, "exec") && shown.is_live(place.line);
    let statement = Trigger::of(&[]).word_where(&["exec "], exec);
    CALLS.iter().map(trigger).chain([statement]).collect()
}

/// The rows.
pub(super) static CALLS: &[Row] = &[
    Row {
        rule: Rule {
            id: "code.python.exec",
            title: "exec runs a string as code",
            severity: Severity::Low,
            cwe: 78,
            keywords: &["exec(", "exec "],
            remediation: "Call a function, or look one up in a dictionary of those that may be called.",
            references: &["https://docs.python.org/3/library/functions.html#exec"],
            aliases: &["B102", "S102"],
            ..PROGRAM
        },
        names: &["exec"],
        message: "whoever can write this text can run any code in the process",
    },
    Row {
        rule: Rule {
            id: "code.python.eval",
            title: "eval runs a string as code",
            severity: Severity::Low,
            cwe: 78,
            keywords: &["eval("],
            remediation: "Read values with ast.literal_eval or json.loads, which run nothing.",
            references: &["https://docs.python.org/3/library/ast.html#ast.literal_eval"],
            aliases: &["B307", "S307"],
            ..PROGRAM
        },
        names: &["eval"],
        message: "whoever can write this text can run any code in the process",
    },
    Row {
        rule: Rule {
            id: "code.python.pickle",
            title: "Pickled data is loaded",
            severity: Severity::Low,
            cwe: 502,
            keywords: &["pickle", "dill", "shelve"],
            remediation: "Exchange data as JSON or another format that carries no code; load pickles only from files that nobody else can write.",
            references: &["https://docs.python.org/3/library/pickle.html"],
            aliases: &["B301", "S301"],
            ..PROGRAM
        },
        names: &[
            "pickle.loads",
            "pickle.load",
            "pickle.Unpickler",
            "cPickle.loads",
            "cPickle.load",
            "cPickle.Unpickler",
            "dill.loads",
            "dill.load",
            "dill.Unpickler",
            "shelve.open",
            "shelve.DbfilenameShelf",
            "jsonpickle.decode",
            "jsonpickle.unpickler.decode",
            "jsonpickle.unpickler.Unpickler",
            "pandas.read_pickle",
        ],
        message: "a pickle names the functions that are called while it is loaded, so that whoever wrote it runs code here",
    },
    Row {
        rule: Rule {
            id: "code.python.marshal",
            title: "Marshalled data is loaded",
            severity: Severity::Low,
            cwe: 502,
            keywords: &["marshal"],
            remediation: "Exchange data as JSON or another format that carries no code.",
            references: &["https://docs.python.org/3/library/marshal.html"],
            aliases: &["B302", "S302"],
            ..PROGRAM
        },
        names: &["marshal.load", "marshal.loads"],
        message: "marshal is not made for data from elsewhere: it carries code, and malformed data can crash the process",
    },
    Row {
        rule: Rule {
            id: "code.python.weak-digest",
            title: "Broken hash function of a cryptographic library",
            severity: Severity::Low,
            cwe: 327,
            keywords: &["crypto", "hashes"],
            remediation: "Use SHA-256 or stronger; for passwords argon2, scrypt or bcrypt.",
            references: &["https://cryptography.io/en/latest/hazmat/primitives/cryptographic-hashes/"],
            aliases: &["B303", "S303"],
            ..PROGRAM
        },
        names: &[
            "Crypto.Hash.MD2.new",
            "Crypto.Hash.MD4.new",
            "Crypto.Hash.MD5.new",
            "Crypto.Hash.SHA.new",
            "Cryptodome.Hash.MD2.new",
            "Cryptodome.Hash.MD4.new",
            "Cryptodome.Hash.MD5.new",
            "Cryptodome.Hash.SHA.new",
            "cryptography.hazmat.primitives.hashes.MD5",
            "cryptography.hazmat.primitives.hashes.SHA1",
        ],
        message: "two texts with the same digest can be made at will",
    },
    Row {
        rule: Rule {
            id: "code.python.weak-cipher",
            title: "Broken cipher",
            severity: Severity::Medium,
            cwe: 327,
            keywords: &["cipher"],
            remediation: "Use AES in an authenticated mode (AES-GCM) or ChaCha20-Poly1305.",
            references: &["https://cryptography.io/en/latest/hazmat/decrepit/ciphers/"],
            aliases: &["B304", "S304"],
            ..PROGRAM
        },
        names: &[
            "Crypto.Cipher.ARC2.new",
            "Crypto.Cipher.ARC4.new",
            "Crypto.Cipher.Blowfish.new",
            "Crypto.Cipher.DES.new",
            "Crypto.Cipher.XOR.new",
            "Cryptodome.Cipher.ARC2.new",
            "Cryptodome.Cipher.ARC4.new",
            "Cryptodome.Cipher.Blowfish.new",
            "Cryptodome.Cipher.DES.new",
            "Cryptodome.Cipher.XOR.new",
            "cryptography.hazmat.primitives.ciphers.algorithms.ARC4",
            "cryptography.hazmat.primitives.ciphers.algorithms.Blowfish",
            "cryptography.hazmat.primitives.ciphers.algorithms.CAST5",
            "cryptography.hazmat.primitives.ciphers.algorithms.IDEA",
            "cryptography.hazmat.primitives.ciphers.algorithms.SEED",
            "cryptography.hazmat.primitives.ciphers.algorithms.TripleDES",
        ],
        message: "what this cipher hides can be read with a known attack or a small key search",
    },
    Row {
        rule: Rule {
            id: "code.python.ecb-mode",
            title: "Cipher in ECB mode",
            severity: Severity::Medium,
            cwe: 327,
            keywords: &["ecb"],
            remediation: "Use an authenticated mode such as GCM with a new nonce for every message.",
            references: &["https://cryptography.io/en/latest/hazmat/primitives/symmetric-encryption/"],
            aliases: &["B305", "S305"],
            ..PROGRAM
        },
        names: &["cryptography.hazmat.primitives.ciphers.modes.ECB"],
        message: "equal blocks of the text give equal blocks of the secret, so that its pattern shows",
    },
    Row {
        rule: Rule {
            id: "code.python.mktemp",
            title: "Temporary name that another process can take first",
            severity: Severity::Low,
            cwe: 377,
            keywords: &["mktemp"],
            remediation: "Use tempfile.NamedTemporaryFile or mkstemp, which create the file and give its name.",
            references: &["https://docs.python.org/3/library/tempfile.html#tempfile.mktemp"],
            aliases: &["B306", "S306"],
            ..PROGRAM
        },
        names: &["tempfile.mktemp"],
        message: "between the choice of the name and the opening of the file anybody can put a file or a link there",
    },
    Row {
        rule: Rule {
            id: "code.python.mark-safe",
            title: "Text is declared to be safe HTML",
            severity: Severity::Low,
            cwe: 79,
            keywords: &["mark_safe", "safestring"],
            remediation: "Build markup with format_html, which escapes what it fills in.",
            references: &["https://docs.djangoproject.com/en/stable/ref/utils/#django.utils.safestring.mark_safe"],
            aliases: &["B308", "B703", "S308"],
            ..PROGRAM
        },
        names: &["django.utils.safestring.mark_safe"],
        message: "this text is not escaped in the page, whatever is in it",
    },
    Row {
        rule: Rule {
            id: "code.python.url-open",
            title: "URL is opened whatever its scheme",
            severity: Severity::Info,
            cwe: 22,
            keywords: &["urlopen", "urlretrieve", "urlopener", "urllib"],
            remediation: "Check that the address begins with https:// before it is opened.",
            references: &["https://docs.python.org/3/library/urllib.request.html"],
            aliases: &["B310", "S310"],
            ..PROGRAM
        },
        names: &[
            "urllib.urlopen",
            "urllib.urlretrieve",
            "urllib.URLopener",
            "urllib.FancyURLopener",
            "urllib2.urlopen",
            "urllib2.Request",
            "urllib.request.urlopen",
            "urllib.request.urlretrieve",
            "urllib.request.URLopener",
            "urllib.request.FancyURLopener",
            "six.moves.urllib.request.urlopen",
            "six.moves.urllib.request.urlretrieve",
            "six.moves.urllib.request.URLopener",
            "six.moves.urllib.request.FancyURLopener",
        ],
        message: "an address that begins with file: reads the machine's own files",
    },
    Row {
        rule: Rule {
            id: "code.python.insecure-random",
            title: "Random numbers that can be foretold",
            severity: Severity::Info,
            cwe: 330,
            keywords: &["random.", "import random", "from random"],
            remediation: "For tokens, passwords and keys use the module secrets.",
            references: &["https://docs.python.org/3/library/random.html"],
            aliases: &["B311", "S311"],
            ..PROGRAM
        },
        names: &[
            "random.Random",
            "random.random",
            "random.randrange",
            "random.randint",
            "random.choice",
            "random.choices",
            "random.uniform",
            "random.triangular",
            "random.randbytes",
            "random.sample",
            "random.getrandbits",
        ],
        message: "whoever has seen some of these numbers knows those that follow; nothing secret may be made of them",
    },
    Row {
        rule: Rule {
            id: "code.python.telnet",
            title: "Telnet connection",
            severity: Severity::Low,
            cwe: 319,
            keywords: &["telnet"],
            remediation: "Use SSH.",
            references: &["https://docs.python.org/3.12/library/telnetlib.html"],
            aliases: &["B312", "S312"],
            ..PROGRAM
        },
        names: &["telnetlib.Telnet"],
        message: "everything, the password included, goes over the wire as plain text",
    },
    Row {
        rule: Rule {
            id: "code.python.ftp",
            title: "FTP connection without encryption",
            severity: Severity::Low,
            cwe: 319,
            keywords: &["ftp"],
            remediation: "Use SFTP, or ftplib.FTP_TLS with prot_p.",
            references: &["https://docs.python.org/3/library/ftplib.html#ftplib.FTP_TLS"],
            aliases: &["B321", "S321"],
            ..PROGRAM
        },
        names: &["ftplib.FTP"],
        message: "everything, the password included, goes over the wire as plain text",
    },
    Row {
        rule: Rule {
            id: "code.python.xml-parser",
            title: "XML is parsed with its entities",
            severity: Severity::Info,
            cwe: 20,
            keywords: &["xml.", "etree", "minidom", "pulldom", "expat"],
            remediation: "Parse XML that comes from elsewhere with defusedxml.",
            references: &["https://docs.python.org/3/library/xml.html#xml-security"],
            aliases: &[
                "B313", "B314", "B315", "B316", "B317", "B318", "B319", "S313", "S314", "S315", "S316", "S317", "S318",
                "S319",
            ],
            ..PROGRAM
        },
        names: &[
            "xml.etree.cElementTree.parse",
            "xml.etree.cElementTree.iterparse",
            "xml.etree.cElementTree.fromstring",
            "xml.etree.cElementTree.XMLParser",
            "xml.etree.ElementTree.parse",
            "xml.etree.ElementTree.iterparse",
            "xml.etree.ElementTree.fromstring",
            "xml.etree.ElementTree.XMLParser",
            "xml.sax.expatreader.create_parser",
            "xml.dom.expatbuilder.parse",
            "xml.dom.expatbuilder.parseString",
            "xml.sax.parse",
            "xml.sax.parseString",
            "xml.sax.make_parser",
            "xml.dom.minidom.parse",
            "xml.dom.minidom.parseString",
            "xml.dom.pulldom.parse",
            "xml.dom.pulldom.parseString",
        ],
        message: "a small document whose entities name each other can fill the memory",
    },
];
