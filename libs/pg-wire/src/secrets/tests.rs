//! What is found, what is not, and that it does not depend on how the bytes come.

use proptest::prelude::*;

use super::*;

fn places(tag: u8, body: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    Scanner::new(tag).unwrap().feed(body, &mut found);
    found
}

/// The text with its secrets as asterisks.
fn masked(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for place in places(b'Q', text.as_bytes()) {
        bytes[place].fill(b'*');
    }
    String::from_utf8(bytes).unwrap()
}

/// What stands in `«»` is found, and nothing else.
#[track_caller]
fn check(marked: &str) {
    let text = marked.replace(['«', '»'], "");
    let mut expected = String::new();
    let mut inside = false;
    for character in marked.chars() {
        match character {
            '«' => inside = true,
            '»' => inside = false,
            character if inside => expected.extend(std::iter::repeat_n('*', character.len_utf8())),
            character => expected.push(character),
        }
    }
    assert_eq!(masked(&text), expected, "{text}");
    assert!(!marked.contains('«') || may_hold_secret(text.as_bytes()), "{text}");
}

#[test]
fn a_text_ends_at_a_zero_byte_within_a_literal_too() {
    let body = b"SELECT 'x\0y', password '_'\0";
    assert_eq!(places(b'Q', body), []);
    for cut in 0..body.len() {
        let (mut scanner, mut found) = (Scanner::new(b'Q').unwrap(), Vec::new());
        scanner.feed(&body[..cut], &mut found);
        scanner.feed(&body[cut..], &mut found);
        assert_eq!(found, [], "cut at {cut}");
    }
}

#[test]
fn literals_behind_password_in_every_form() {
    for marked in [
        "ALTER ROLE a PASSWORD '«s3cret»'",
        "alter user a with encrypted password '«s3cret»' valid until '2030-01-01'; select 'open'",
        "CREATE USER a PaSsWoRd E'«s3»\\«'cret»' LOGIN",
        "CREATE ROLE a LOGIN PASSWORD U&'«\\0061bc»' SUPERUSER",
        "CREATE ROLE a PASSWORD u&'«!0061bc»' UESCAPE '!'",
        "ALTER ROLE a PASSWORD N'«s3cret»'",
        "ALTER ROLE a PASSWORD $$«s3cret»$$ LOGIN",
        "ALTER ROLE a PASSWORD $x_1$«s3»$$«c»$x«ret»$x_1$ LOGIN",
        "ALTER ROLE a PASSWORD/* why */--now\n\t'«s3»''«cret»'",
        "ALTER ROLE a PASSWORD '«SCRAM-SHA-256$4096:salt$stored:server»'",
        "ALTER ROLE a PASSWORD '«md5a1b2»'",
        "ALTER ROLE a PASSWORD '«s3»'\n   '«cret»' LOGIN",
        "ALTER ROLE a PASSWORD NULL; ALTER ROLE b LOGIN",
        "ALTER ROLE a PASSWORD '«open",
        "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', password '«s3cret»', x 'y')",
        "ALTER USER MAPPING FOR a SERVER s OPTIONS (SET \"password\" '«s3cret»', ADD sslpassword '«p»')",
        "CREATE GROUP g WITH UNENCRYPTED PASSWORD '«s3cret»'",
        "SELECT 1; /* ALTER ROLE a PASSWORD '«old»' */ SELECT 2 -- ALTER ROLE a PASSWORD '«old»'\n, 'x'",
    ] {
        check(marked);
    }
}

#[test]
fn connection_strings_lose_their_passwords_alone() {
    for marked in [
        "CREATE SUBSCRIPTION s CONNECTION 'host=h password=«s3cret» dbname=d' PUBLICATION p",
        "ALTER SUBSCRIPTION s CONNECTION 'password = ''«s3 cret»'' host=h'",
        "ALTER SUBSCRIPTION s CONNECTION E'password=\\'«s3 cret»\\' host=h'",
        "SELECT dblink('host=h password=«s3\\ cret» user=u', 'SELECT 1')",
        "SELECT * FROM dblink($$user=u password=«s3cret»$$, $q$SELECT 'x'$q$) AS t (a int)",
        "SELECT dblink_connect('postgres://u:«s3cret»@h:5432/d?sslmode=require')",
        "SELECT dblink_connect('postgresql://h/d?user=u&password=«s3cret»&x=y')",
        "SELECT dblink_connect('host=h password=' || '«s3cret»' || '« x»')",
        "SELECT dblink_connect('host=h password=«s3»' || '«cret»', 'c')",
        "SELECT dblink_connect(format('host=h password=«%s»', '«s3cret»')); SELECT 'x'",
        "SELECT dblink_connect('x' || 'y password=«s3cret»')",
        "SELECT dblink_exec('c', 'ALTER ROLE a PASSWORD ''«s3cret»''')",
        "SELECT 'SCRAM-SHA-256$«4096:salt$stored:server»', 'x'",
    ] {
        check(marked);
    }
}

#[test]
fn literals_within_literals() {
    for marked in [
        "DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''«s3cret»'' LOGIN'; END $$",
        "DO $a$ BEGIN ALTER ROLE a PASSWORD '«s3cret»'; UPDATE t SET x = 'y'; END $a$; SELECT 'z'",
        "DO $a$ BEGIN EXECUTE $b$ALTER ROLE a PASSWORD $c$«s3cret»$c$$b$; END $a$",
        "DO E'BEGIN EXECUTE \\'ALTER ROLE a PASSWORD \\'\\'«s3cret»\\'\\'\\'; END'",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'ALTER ROLE a PASSWORD ''«s3cret»'''",
    ] {
        check(marked);
    }
}

#[test]
fn what_a_job_does_stays() {
    for marked in [
        "UPDATE users SET password = 'x', name = 'password' WHERE password <> 'y'",
        "INSERT INTO users (name, password) VALUES ('a', 'b')",
        "SELECT password, 'x' FROM users WHERE password IN ('x') OR password LIKE 'y' -- password = 'x'",
        "DO $$ DECLARE password text; BEGIN password= 1; UPDATE t SET x = 2; END $$",
        "CREATE ROLE password SUPERUSER",
        "ALTER USER password SET search_path = x",
        "CREATE ROLE a IN ROLE b, password SUPERUSER",
        "ALTER ROLE a IN DATABASE password SET x = y",
        "GRANT password TO a; UPDATE t SET x = 'y'",
        "SELECT 'please send your password= to', 'https://postgres/x:y@z'",
        "SELECT $1::text AS password",
        "SELECT 'a\\' , 'password'",
    ] {
        check(marked);
    }
}

#[test]
fn what_is_wrong_behind_password_is_withheld_to_the_statements_end() {
    for marked in [
        "ALTER ROLE a PASSWORD «s3cret LOGIN»; SELECT 'x'",
        "ALTER ROLE a WITH PASSWORD «\"s3cret\"»; SELECT 'x'",
        "ALTER USER a PASSWORD «= 's3cret'»; SELECT 'x'",
        "ALTER USER a PASSWORD n«o-literal»; SELECT 'x'",
    ] {
        check(marked);
    }
}

#[test]
fn what_is_secret_in_one_of_two_readings_is() {
    // With and without standard_conforming_strings, the literal ends elsewhere.
    check("ALTER ROLE a PASSWORD '«s3\\'cret»'");
    let text = "SELECT 'a\\' , PASSWORD '; ALTER ROLE a PASSWORD 's3cret'";
    assert!(!masked(text).contains("s3cret"));
    let text = "SELECT 'a\\'' ; ALTER ROLE a PASSWORD 's3cret' --'";
    assert!(!masked(text).contains("s3cret"));
}

fn bind(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = b"portal\0statement\0".to_vec();
    body.extend([0, 1, 0, 0]);
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        match value {
            None => body.extend([0xff; 4]),
            Some(value) => {
                body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend(*value);
            }
        }
    }
    body.extend([0, 0]);
    body
}

#[test]
fn bound_values_are_looked_at_one_by_one() {
    let values: [Option<&[u8]>; 6] = [
        Some(b"password"),
        None,
        Some(b""),
        Some(b"host=h password=s3cret user=u"),
        Some(b"'plain'"),
        Some(b"ALTER ROLE a PASSWORD 'other'"),
    ];
    for (tag, body) in [(b'B', bind(&values)), (b'F', [&[0, 0, 4, 210][..], &bind(&values)[17..]].concat())] {
        let found: Vec<&[u8]> = places(tag, &body).into_iter().map(|place| &body[place]).collect();
        assert_eq!(found, [&b"s3cret"[..], b"other"]);
    }
    assert!(Scanner::new(b'd').is_none());
}

#[test]
fn a_prepared_text_is_found_behind_its_name() {
    let body = b"ALTER ROLE a PASSWORD 'name'\0ALTER ROLE a PASSWORD 's3cret'\0\0\x01\0\0\0\x19";
    let found: Vec<&[u8]> = places(b'P', body).into_iter().map(|place| &body[place]).collect();
    assert_eq!(found, [b"s3cret"]);
}

#[test]
fn the_words_are_found_wherever_they_are() {
    for word in ["password", "PassWord", "scram-SHA-256$", "postgres://", "POSTGRESQL://"] {
        for before in 0..150 {
            let text = [vec![b'x'; before], word.as_bytes().to_vec(), vec![b's'; before % 70]].concat();
            assert!(may_hold_secret(&text), "{before} {word}");
            assert!(!may_hold_secret(&text[..before + word.len() - 1]), "{before} {word}");
        }
    }
    for text in ["", "p", "classes", "passwor", "SHA-256$", "https://host", "SELECT $1 WHERE x::text", "6$"] {
        assert!(!may_hold_secret(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_long_value_is_data() {
    let long = [b"password=s3cret ".to_vec(), vec![b'x'; LONGEST_VALUE as usize]].concat();
    let body = bind(&[Some(&long), Some(b"password=s3cret")]);
    let found = places(b'B', &body);
    assert_eq!(found.len(), 1);
    assert!(found[0].start > long.len());
}

/// Pieces that texts with and without secrets are made of.
fn piece() -> impl Strategy<Value = String> {
    const WORDS: [&str; 32] = [
        "ALTER",
        "ROLE",
        "a",
        "password",
        "PASSWORD",
        "'",
        "''",
        "E'",
        "U&'",
        "$$",
        "$t$",
        "\\",
        "\\'",
        "\"",
        "--",
        "\n",
        "/*",
        "*/",
        " ",
        ";",
        "=",
        "host=h",
        "password=",
        "scram-sha-256$",
        "postgres://",
        "u:p@",
        "||",
        "null",
        "|",
        ")",
        "x\u{e9}",
        "%s",
    ];
    prop_oneof![
        9 => proptest::sample::select(&WORDS[..]).prop_map(str::to_owned),
        1 => "[a-z0-9]{0,8}",
    ]
}

proptest! {
    #[test]
    fn cut_anywhere_the_places_are_the_same(
        tag in proptest::sample::select(&b"QPBF"[..]),
        pieces in proptest::collection::vec(piece(), 0..40),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..5),
        raw in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let text = pieces.concat();
        let body = match tag {
            b'Q' => text.into_bytes(),
            b'P' => [b"n\0", text.as_bytes(), b"\0\0\0"].concat(),
            b'B' => bind(&[Some(text.as_bytes()), Some(&raw)]),
            _ => raw,
        };
        let whole: Vec<usize> = places(tag, &body).into_iter().flatten().collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let mut scanner = Scanner::new(tag).unwrap();
        let mut in_parts = Vec::new();
        for pair in cuts.windows(2) {
            let mut found = Vec::new();
            scanner.feed(&body[pair[0]..pair[1]], &mut found);
            in_parts.extend(found.into_iter().flatten().map(|at| at + pair[0]));
        }
        prop_assert_eq!(&whole, &in_parts);
        prop_assert!(whole.is_empty() || may_hold_secret(&body), "{:?}", String::from_utf8_lossy(&body));
    }

    #[test]
    fn a_secret_in_any_form_is_found_and_the_text_around_it_stays(
        secret in "[a-zA-Z0-9 ;$()-]{1,12}",
        form in 0..7,
        keyword in proptest::sample::select(&["PASSWORD", "password", "Password"][..]),
        between in proptest::sample::select(&[" ", "\n", "/* it's /* */ ; */", "--'\n", "\t\x0c"][..]),
        before in proptest::sample::select(&["", "SELECT 'x;', \"y'\", $1, $q$ ' $q$; ", "/* ' */ ", "SELECT E'\\'';"][..]),
        within in any::<bool>(),
    ) {
        let marker = format!("mark{secret}mark");
        let literal = match form {
            0 => format!("'{marker}'"),
            1 => format!("E'{marker}\\n'"),
            2 => format!("U&'{marker}'"),
            3 => format!("$pw${marker}$pw$"),
            4 => format!("N'{marker}'"),
            5 => format!("e'\\'{marker}'"),
            _ => format!("'{marker}''{marker}'"),
        };
        let mut text = format!("{before}ALTER ROLE a {keyword}{between}{literal} LOGIN; SELECT 'seen'");
        if within {
            text = format!("DO $body$ {text} $body$; SELECT 'seen'");
        }
        let masked = masked(&text);
        prop_assert!(!masked.contains(&marker), "{}", masked);
        prop_assert_eq!(masked.len(), text.len());
        prop_assert!(masked.ends_with("LOGIN; SELECT 'seen'") || masked.ends_with("SELECT 'seen' $body$; SELECT 'seen'"));
        let head = before.len() + if within { "DO $body$ ".len() } else { 0 };
        prop_assert!(masked.starts_with(&text[..head]), "{}", masked);
    }
}
