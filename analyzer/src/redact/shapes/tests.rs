use super::*;

/// What is left of a text.
fn redacted(text: &str) -> String {
    let redactor = super::super::Redactor::default();
    let mut text = text.to_owned();
    redactor.text(&mut text);
    text
}

#[test]
fn every_pattern_compiles_and_its_words_are_in_lower_case() {
    assert_eq!(COMPILED.patterns.len(), SHAPES.len());
    for shape in SHAPES {
        assert!(!shape.words.is_empty());
        for word in shape.words {
            assert_eq!(*word, word.to_lowercase());
        }
    }
}

/// Each is made up of its parts, so that no tool that looks for secrets takes this file for a leak.
#[test]
fn known_shapes_are_taken_out_whole() {
    let abc = "Zq7Lm2Xw9Kd4Rt6Yb1Vn8Hs3Jf5Gp0Qc";
    let hex = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let (sk, ak) = ("s\u{6b}-", "AK\u{49}A");
    for (kind, secret) in [
        ("openai_key", format!("{sk}{abc}{abc}")),
        ("openai_key", format!("{sk}proj-{abc}_{abc}-x")),
        ("openai_key", format!("{sk}svcacct-{abc}")),
        ("openai_key", format!("{sk}or-v1-{hex}{hex}")),
        ("openai_key", format!("{sk}{hex}")),
        ("openai_key", format!("{sk}Yb1Vn8Hs_3Jf5Gp0Qc-Zq7")),
        ("openai_key", format!("{sk}abcdefghijklmnopqrstuvwx")),
        ("anthropic_key", format!("{sk}ant-api03-{abc}-{abc}_AA")),
        ("aws_key", format!("{ak}IOSFODNN7EXAMPLE")),
        ("aws_key", "ASIAIOSFODNN7EXAMPLE".to_owned()),
        ("github_token", format!("ghp_{abc}abcd")),
        ("github_token", format!("gho_{abc}abcd")),
        ("github_token", format!("ghs_{abc}abcd")),
        ("github_token", format!("github_pat_11ABCDEFG0{abc}_{abc}")),
        ("gitlab_token", "glpat-abcDEF123_-xyzABC456".to_owned()),
        (
            "gitlab_token",
            "glpat-abcDEF123xyzABC456.01.0w0abcdef".to_owned(),
        ),
        (
            "slack_token",
            "xoxb-123456789012-1234567890123-AbCdEf".to_owned(),
        ),
        ("slack_token", "xoxe.xoxp-1-AbCdEf123456".to_owned()),
        ("slack_token", "xapp-1-A0123-456-abcdef".to_owned()),
        ("google_key", format!("AIza{abc}abc")),
        ("google_key", format!("ya29.{abc}")),
        ("google_key", format!("GOCSPX-{abc}")),
        ("huggingface_token", format!("hf_{abc}ab")),
        ("stripe_key", format!("sk_live_{abc}")),
        ("stripe_key", format!("rk_test_{abc}")),
        ("stripe_key", format!("whsec_{abc}")),
        ("service_key", format!("gsk_{abc}{abc}")),
        ("service_key", format!("xai-{abc}{abc}")),
        ("service_key", format!("nvapi-{abc}_-{abc}")),
        ("service_key", format!("npm_{abc}abcd")),
        ("service_key", format!("pypi-AgEIcHlwaS5vcmc{abc}{abc}")),
        ("service_key", format!("dapi{hex}")),
        ("service_key", format!("lsv2_pt_{hex}_0123456789")),
        ("service_key", format!("hvs.{abc}")),
        ("service_key", format!("SG.{abc}.{abc}")),
        (
            "jwt",
            format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{abc}_-{abc}"),
        ),
        ("jwt", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.".to_owned()),
        (
            "jwt",
            format!("eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0.{abc}.{abc}.{abc}.{abc}"),
        ),
        (
            "private_key",
            format!(
                "-----BEGIN RSA PRIVATE KEY-----\n{abc}{abc}\n{abc}=\n-----END RSA PRIVATE KEY-----"
            ),
        ),
        (
            "private_key",
            format!("-----BEGIN PRIVATE KEY-----\\n{abc}{abc}\\n{abc}\\n-----END PRIVATE KEY-----"),
        ),
        (
            "private_key",
            format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{abc}\n{abc}\n"),
        ),
        (
            "private_key",
            format!("{abc}{abc}\n{abc}\n-----END EC PRIVATE KEY-----"),
        ),
        (
            "private_key",
            format!(
                "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n{abc}\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----"
            ),
        ),
    ] {
        let marker = format!("[redacted:{kind}]");
        assert_eq!(redacted(&secret), marker, "{secret}");
        for (before, after) in [
            ("key ", ", and more"),
            ("(", ")"),
            ("\"", "\""),
            ("=", "&a=b"),
            ("模", "。"),
        ] {
            let text = format!("{before}{secret}{after}");
            let left = redacted(&text);
            assert!(
                left.starts_with(before)
                    && left.contains("[redacted:")
                    && !left.contains(&secret[..12]),
                "{text}\n{left}"
            );
        }
    }
}

#[test]
fn values_of_telling_names_are_taken_out_and_the_names_stay() {
    for (text, left) in [
        (
            "Authorization: Bearer abc.def",
            "Authorization: [redacted:authorization]",
        ),
        (
            "\"Authorization\": \"Bearer abc.def-123\"",
            "\"Authorization\": \"[redacted:authorization]\"",
        ),
        (
            "authorization=Basic dXNlcjpwYXNz",
            "authorization=[redacted:authorization]",
        ),
        (
            "curl -H 'Authorization: Token abc123'",
            "curl -H 'Authorization: [redacted:authorization]'",
        ),
        (
            "send Bearer abcdef0123456789 with it",
            "send Bearer [redacted:authorization] with it",
        ),
        (
            "Basic dXNlcjpwYXNzd29yZA==",
            "Basic [redacted:authorization]",
        ),
        ("password=hunter2", "password=[redacted:password]"),
        ("password=hunter", "password=[redacted:password]"),
        (
            "DB_PASSWORD='correct horse'",
            "DB_PASSWORD='[redacted:password]'",
        ),
        (
            "\"password\": \"hunter\"",
            "\"password\": \"[redacted:password]\"",
        ),
        (
            "{\\\"password\\\":\\\"hunter\\\"}",
            "{\\\"password\\\":\\\"[redacted:password]\\\"}",
        ),
        ("password: hunter2", "password: [redacted:password]"),
        ("Pwd=p@ss;Server=db", "Pwd=[redacted:password];Server=db"),
        (
            "\"api_key\": \"abcdef\"",
            "\"api_key\": \"[redacted:credential]\"",
        ),
        (
            "OPENAI_API_KEY=abcdef",
            "OPENAI_API_KEY=[redacted:credential]",
        ),
        ("apiKey: 'abc-def'", "apiKey: '[redacted:credential]'"),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "aws_secret_access_key = [redacted:credential]",
        ),
        (
            "AccountKey=abcDEF123+/==;EndpointSuffix=x",
            "AccountKey=[redacted:credential];EndpointSuffix=x",
        ),
        (
            "client_secret=\"abcdef\"",
            "client_secret=\"[redacted:credential]\"",
        ),
        (
            "\"token\": \"a1b2c3d4e5f6a7b8c9\"",
            "\"token\": \"[redacted:credential]\"",
        ),
        (
            "https://a/b?key=abcdef&alt=sse",
            "https://a/b?key=[redacted:credential]&alt=sse",
        ),
        (
            "/x?a=b&sig=abcdef%2B&c",
            "/x?a=b&sig=[redacted:credential]&c",
        ),
        (
            "postgres://me:secret@db:5432/x",
            "postgres://[redacted:url_credentials]@db:5432/x",
        ),
        (
            "redis://:secret@cache",
            "redis://[redacted:url_credentials]@cache",
        ),
        (
            "https:\\/\\/me:p%40ss@host\\/x",
            "https:\\/\\/[redacted:url_credentials]@host\\/x",
        ),
        ("Cookie: session=abcdef; b=c", "Cookie: [redacted:header]"),
        (
            "x-goog-api-key: abcdef",
            "x-goog-api-key: [redacted:header]",
        ),
        (
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXX",
            "https://hooks.slack.com/services/[redacted:slack_token]",
        ),
    ] {
        assert_eq!(redacted(text), left);
    }
}

#[test]
fn what_only_looks_alike_stays() {
    for text in [
        "550e8400-e29b-41d4-a716-446655440000",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "chatcmpl-9Zq7Lm2Xw9Kd4Rt6Yb1Vn8Hs3Jf5Gp0Qc",
        "call_Zq7Lm2Xw9Kd4Rt6Yb1Vn8Hs3Jf5Gp0Qc",
        "sk-learn",
        "sk-learn-contrib-project",
        "sk-toggleable__content-with-arrow",
        "sk-top-container-id-12",
        "a task-force-of-0123456789abcdef",
        "hf_transfer and hf_hub_download_with_retries",
        "AKIA is how they begin",
        "ASIAPACIFICREGIONSANDMORE",
        "ghp_short",
        "gsk_kernel and xai-org/grok",
        "eyJ is how JSON begins in base64",
        "the Bearer of good news and responsibilities",
        "Basic understanding of internationalization",
        "bearer_token_responsibilities",
        "password: please enter yours",
        "\"password\": {\"type\": \"string\"}",
        "\"password\": \"string\"",
        "password=getpass()",
        "password = args.password",
        "api_key=os.environ[\"OPENAI_API_KEY\"]",
        "api_key=os.getenv('KEY')",
        "api_key = $OPENAI_API_KEY",
        "api_key: <your key>",
        "\"max_tokens\": 100000000000",
        "\"token\": \"Hello world, this\"",
        "{\"token\":\" international\",\"logprob\":-0.1}",
        "the secret: patience and time",
        "\"eos_token\": \"<|endoftext|>\"",
        "http://localhost:8000/v1/chat/completions",
        "https://github.com/a/b@v1:2",
        "ssh://git@github.com/a/b",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "data:image/png;base64,iVBORw0KGgo",
        "\"key\": \"550e8400-e29b-41d4-a716-446655440000\"",
        "\"signature\": \"EqQBCkYIBxgCKkDm1a2b3c4d5e6f7g8h9\"",
        "monkey=bananas and a turkey=birds and more",
        "你好世界 password 密码",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn beginnings_are_secrets_only_where_something_ends() {
    let found = |text: &str, edges| {
        let mut found = Vec::new();
        find(text.as_bytes(), edges, &mut found);
        found
    };
    let cut = Edges {
        starts_cut: false,
        ends_cut: true,
    };
    for text in [
        "is sk-proj-Zq",
        "at postgres://me:7ii5",
        r"at https:\/\/me:hunter",
        "is ghp_",
        "is AKIA",
        "is eyJhbGci",
        "is sk-a1",
    ] {
        assert_eq!(found(text, cut), [(3..text.len(), Kind::Cut)], "{text}");
        assert_eq!(found(text, Edges::NONE), [], "{text}");
        assert_eq!(found(&format!("{text} and"), cut), [], "{text}");
    }
    assert_eq!(found("I use sk-learn", cut), []);
    assert_eq!(found("at http://localhost:11434", cut), []);
    let rest = Edges {
        starts_cut: true,
        ends_cut: false,
    };
    assert_eq!(found("Lm2Xw9Kd4 is all", rest), [(0..9, Kind::Cut)]);
    assert_eq!(found("international ties", rest), []);
}

/// Whatever the text is, it takes time in proportion to its length: this one is made of beginnings.
#[test]
fn texts_made_of_beginnings_come_to_an_end() {
    for part in [
        "-eyJ",
        "sk-",
        ".sk-proj-",
        "-----BEGIN PRIVATE KEY-----",
        "password=",
        "a://b:",
        "Bearer ",
        "[?key=",
        "authorization: ",
        "AAAAAAAAAAAAAAAA\n",
        "-----END PRIVATE KEY",
        "ghp_",
        "\\\\\\\"",
    ] {
        let text = part.repeat(300_000 / part.len());
        let mut found = Vec::new();
        find(text.as_bytes(), Edges::NONE, &mut found);
    }
}
