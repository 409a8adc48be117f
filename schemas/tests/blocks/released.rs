//! Released bytes decode to what they were made of, field by field, for ever.

use std::path::PathBuf;

use hansard_schemas::events::{
    Actor, Authenticated, AuthenticationFailed, Block, BlockExt, CatalogChange, CatalogChanging, CatalogMissing,
    CatalogRead, ClientCertificate, Compression, Direction, Event, FrameRun, Gap, LeaseIssued, LeaseRevoked, Message,
    Omitted, Parameter, Part, Payload, ProxyAlive, ProxyStarted, ProxyStopped, Revoked, SessionClosed, SessionOpened,
    Tls, event::Kind,
};

/// Name of the kind. Does not compile with a kind that has no fixture yet.
fn name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Frames(_) => "frames",
        Kind::SessionOpened(_) => "session_opened",
        Kind::Authenticated(_) => "authenticated",
        Kind::AuthenticationFailed(_) => "authentication_failed",
        Kind::Gap(_) => "gap",
        Kind::SessionClosed(_) => "session_closed",
        Kind::ProxyStarted(_) => "proxy_started",
        Kind::ProxyAlive(_) => "proxy_alive",
        Kind::ProxyStopped(_) => "proxy_stopped",
        Kind::CatalogRead(_) => "catalog_read",
        Kind::CatalogChanging(_) => "catalog_changing",
        Kind::LeaseIssued(_) => "lease_issued",
        Kind::LeaseRevoked(_) => "lease_revoked",
        Kind::Revoked(_) => "revoked",
    }
}

const AT: u64 = 1_763_781_120_123_456_789;

/// Every kind of event, every field set.
fn kinds() -> Vec<Event> {
    let text = str::to_owned;
    let run = |first_seq, count, frames: &[u8]| FrameRun {
        direction: Direction::Frontend as i32,
        first_seq,
        count,
        frames: frames.to_vec().into(),
        ..FrameRun::default()
    };
    let kinds = vec![
        Kind::SessionOpened(SessionOpened {
            client_addr: text("192.0.2.7:50412"),
            application_name: text("reranker"),
            db_user: text("app"),
            database: text("ranking"),
            parameters: vec![
                Parameter { name: text("client_encoding"), value: text("UTF8") },
                Parameter { name: text("DateStyle"), value: text("ISO, größer") },
            ],
            protocol_version: 196_608,
            node: text("019a9d3c-5c2e-7b1a-8f00-0123456789ab"),
            instance: text("019a9d3c-5c2e-7b1a-8f00-0123456789ac"),
            hansard_version: text("0.1.0"),
            ..SessionOpened::default()
        }),
        Kind::Frames(FrameRun { tag: Some(0), ..run(1, 1, b"\0\0\0\x08\x04\xd2\x16\x2f") }),
        Kind::Frames(FrameRun {
            direction: Direction::Backend as i32,
            tag: Some(u32::from(b'K')),
            withheld: text("cancel key"),
            ..run(2, 1, b"")
        }),
        Kind::Authenticated(Authenticated {
            issuer: text("ci"),
            subject: text("repo:films/reranker"),
            job: text("nightly-rerank"),
            groups: vec![text("jobs"), text("ranking")],
            token_id: text("7f3a"),
            token_expires_at: AT + 3_600_000_000_000,
            search_path: vec![text("app"), text("public")],
            ..Authenticated::default()
        }),
        Kind::Frames(run(3, 2, b"Q\0\0\0\x0dSELECT 1\0S\0\0\0\x04")),
        Kind::Frames(FrameRun { part: Part::First as i32, tag: Some(u32::from(b'd')), ..run(5, 1, b"d\0\x10\0\0abc") }),
        Kind::Frames(FrameRun { part: Part::Middle as i32, tag: Some(u32::from(b'd')), ..run(6, 1, b"\xff\xfe\0") }),
        Kind::Frames(FrameRun { part: Part::Last as i32, tag: Some(u32::from(b'd')), ..run(7, 1, b"xyz") }),
        Kind::AuthenticationFailed(AuthenticationFailed {
            sqlstate: text("28P01"),
            message: text("the token is not accepted"),
            detail: text("signature"),
            ..AuthenticationFailed::default()
        }),
        Kind::Gap(Gap { reason: text("the log was full"), frames: 12 }),
        Kind::SessionClosed(SessionClosed {
            reason: text("terminated by job"),
            frames: 7,
            bytes_frontend: 4_711,
            bytes_backend: 1 << 40,
        }),
        Kind::ProxyStarted(ProxyStarted { node: text("n"), instance: text("i"), hansard_version: text("0.1.0") }),
        Kind::ProxyAlive(ProxyAlive { node: text("n"), instance: text("i") }),
        Kind::ProxyStopped(ProxyStopped { node: text("n"), instance: text("i"), reason: text("asked to") }),
    ];
    let mut events: Vec<Event> = Vec::new();
    let mut no = 0;
    for (place, kind) in kinds.into_iter().enumerate() {
        let event_no = match kind {
            Kind::Frames(_) => 0,
            _ => {
                no += 1;
                no
            }
        };
        events.push(Event { at: AT + place as u64, event_no, kind: Some(kind) });
    }
    events
}

fn block() -> Block {
    let payload = Payload { events: kinds() }.encode_to_vec();
    Block {
        session_id: (0x10..0x20).collect(),
        target: "ranking".to_owned(),
        first_seq: 1,
        last_seq: 7,
        first_event: 1,
        last_event: 8,
        chain_head: (0x80..0xa0).collect(),
        compression: Compression::None as i32,
        payload_length: payload.len() as u64,
        payload,
    }
}

/// What a capture level and a limit leave of a session.
fn omissions() -> Block {
    let mark = |first_seq, tag: u8, withheld: &str, frames, bytes| FrameRun {
        direction: Direction::Backend as i32,
        first_seq,
        count: 1,
        tag: Some(u32::from(tag)),
        withheld: withheld.to_owned(),
        omitted: Some(Omitted { frames, bytes }),
        ..FrameRun::default()
    };
    let opened = SessionOpened { capture: "metadata".to_owned(), max_result_bytes: 1 << 20, ..Default::default() };
    let error = FrameRun { frames: b"E\0\0\0\x0cC22012\0\0".to_vec().into(), ..mark(3, b'E', "error text", 1, 90) };
    let kinds = [
        Kind::SessionOpened(opened),
        Kind::Frames(mark(1, b'D', "result rows", 1234, 5_600_000)),
        Kind::Frames(FrameRun { part: Part::First as i32, ..mark(2, b'D', "result over limit", 0, 65_536) }),
        Kind::Frames(error),
    ];
    let event = |(place, kind)| Event { at: AT, event_no: u64::from(place == 0), kind: Some(kind) };
    let payload = Payload { events: kinds.into_iter().enumerate().map(event).collect() }.encode_to_vec();
    Block { last_seq: 3, last_event: 1, payload_length: payload.len() as u64, payload, ..block() }
}

/// A session whose connection was encrypted.
fn encrypted() -> Block {
    let certificate = ClientCertificate { subject: "CN=reranker".to_owned(), sha256: (0x40..0x60).collect() };
    let tls = Tls {
        version: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
        client_certificate: Some(certificate),
    };
    let opened = SessionOpened { tls: Some(tls), ..SessionOpened::default() };
    let event = Event { at: AT, event_no: 1, kind: Some(Kind::SessionOpened(opened)) };
    let payload = Payload { events: vec![event] }.encode_to_vec();
    Block { last_seq: 0, last_event: 1, payload_length: payload.len() as u64, payload, ..block() }
}

/// A session of a job that acts for somebody, and says why.
fn acting() -> Block {
    let actor = |subject: &str, issuer: &str| Actor { subject: subject.to_owned(), issuer: issuer.to_owned() };
    let opened = SessionOpened {
        purpose: "TICKET-1".to_owned(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        ..SessionOpened::default()
    };
    let authenticated = Authenticated {
        subject: "ann".to_owned(),
        actors: vec![actor("runner-7", "https://ci.example"), actor("gateway", "")],
        authentication: "oauthbearer".to_owned(),
        ..Authenticated::default()
    };
    let kinds = [Kind::SessionOpened(opened), Kind::Authenticated(authenticated)];
    let event = |(place, kind)| Event { at: AT, event_no: place as u64 + 1, kind: Some(kind) };
    let payload = Payload { events: kinds.into_iter().enumerate().map(event).collect() }.encode_to_vec();
    Block { last_seq: 0, last_event: 2, payload_length: payload.len() as u64, payload, ..block() }
}

/// What is told of leases, and a session by one.
fn leases() -> Block {
    let text = str::to_owned;
    let lease = || text("lease-000102030405060708090a0b0c0d0e0f");
    let issued = LeaseIssued {
        lease: lease(),
        target: text("ranking"),
        role: text("app"),
        database: text("films"),
        issuer: text("ci"),
        subject: text("repo:films/reranker"),
        job: text("nightly-rerank"),
        groups: vec![text("jobs"), text("ranking")],
        token_id: text("7f3a"),
        actors: vec![Actor { subject: text("runner-7"), issuer: text("https://ci.example") }],
        purpose: text("TICKET-1"),
        expires_at: AT + 1_800_000_000_000,
        max_connections: 3,
        certificate_sha256: (0x40..0x60).collect(),
    };
    let revoked = Revoked {
        kind: text("token"),
        issuer: text("ci"),
        subject: text("s"),
        job: text("j"),
        token_id: text("7f3a"),
        by: text("owner"),
        reason: text("it was in a log"),
        until: AT + 86_400_000_000_000,
    };
    let authenticated = Authenticated {
        subject: text("repo:films/reranker"),
        authentication: text("scram-sha-256"),
        lease: lease(),
        ..Authenticated::default()
    };
    let kinds = [
        Kind::LeaseIssued(issued),
        Kind::LeaseRevoked(LeaseRevoked { lease: lease(), by: text("owner"), reason: text("stolen") }),
        Kind::Revoked(revoked),
        Kind::Authenticated(authenticated),
    ];
    let event = |(place, kind)| Event { at: AT, event_no: place as u64 + 1, kind: Some(kind) };
    let payload = Payload { events: kinds.into_iter().enumerate().map(event).collect() }.encode_to_vec();
    Block {
        target: String::new(),
        last_seq: 0,
        last_event: 4,
        payload_length: payload.len() as u64,
        payload,
        ..block()
    }
}

/// A connection that did not show who it is, and a statement with a password in it.
fn secrets() -> Block {
    let run = FrameRun { direction: Direction::Frontend as i32, count: 1, ..FrameRun::default() };
    let packet = FrameRun {
        first_seq: 1,
        tag: Some(0),
        withheld: "not identified".to_owned(),
        omitted: Some(Omitted { frames: 1, bytes: 41 }),
        sha256: (0x20..0x40).collect(),
        ..run.clone()
    };
    let query = FrameRun {
        first_seq: 2,
        frames: b"Q\0\0\0\x21ALTER ROLE a PASSWORD '****'\0".to_vec().into(),
        withheld: "password in SQL".to_owned(),
        masked: true,
        ..run
    };
    let failed = AuthenticationFailed {
        sqlstate: "28P01".to_owned(),
        message: "the token is not accepted".to_owned(),
        unrecorded: 12,
        ..AuthenticationFailed::default()
    };
    let kinds = [Kind::AuthenticationFailed(failed), Kind::Frames(packet), Kind::Frames(query)];
    let event = |(place, kind)| Event { at: AT, event_no: u64::from(place == 0), kind: Some(kind) };
    let payload = Payload { events: kinds.into_iter().enumerate().map(event).collect() }.encode_to_vec();
    Block { last_seq: 2, last_event: 1, payload_length: payload.len() as u64, payload, ..block() }
}

/// What a process tells of a database's catalog, and what a session began with.
fn catalog() -> Block {
    let text = str::to_owned;
    let read = CatalogRead {
        node: text("n"),
        instance: text("i"),
        target: text("ranking"),
        database: text("films"),
        version: 7,
        base_version: 6,
        begun_at: AT - 2_000_000,
        read_at: AT - 1_000_000,
        complete: false,
        missing: vec![CatalogMissing { kind: text("function"), reason: text("permission denied for pg_proc") }],
        announced: 12,
        unsettled: vec![9, 11],
        part: 2,
        last: true,
        ..CatalogRead::default()
    };
    let mut packed = read.clone();
    packed.pack(changes(), 3).unwrap();
    let changing = CatalogChanging {
        node: text("n"),
        instance: text("i"),
        target: text("ranking"),
        database: text("films"),
        number: 12,
        session_id: (0x10..0x20).collect(),
        all: false,
        drops: false,
        paths: false,
        names: vec![text("rankings"), text("Odd Name")],
    };
    let authenticated = Authenticated {
        job: text("nightly-rerank"),
        search_path_setting: Some(text("\"$user\", public")),
        role: text("app"),
        session_role: text("login"),
        ..Authenticated::default()
    };
    let all = CatalogChanging { all: true, names: Vec::new(), number: 13, ..changing.clone() };
    let drops = CatalogChanging { drops: true, paths: true, number: 14, ..changing.clone() };
    let kinds = [
        Kind::CatalogRead(packed),
        Kind::CatalogRead(CatalogRead { complete: true, missing: Vec::new(), ..read }),
        Kind::CatalogChanging(changing),
        Kind::CatalogChanging(all),
        Kind::Authenticated(authenticated),
        Kind::CatalogChanging(drops),
    ];
    let event = |(place, kind)| Event { at: AT, event_no: place as u64 + 1, kind: Some(kind) };
    let payload = Payload { events: kinds.into_iter().enumerate().map(event).collect() }.encode_to_vec();
    Block {
        target: String::new(),
        last_seq: 0,
        last_event: 6,
        payload_length: payload.len() as u64,
        payload,
        ..block()
    }
}

fn changes() -> Vec<CatalogChange> {
    let definition = r#"{"relation":{"schema":"public","name":"rankings","kind":"r"}}"#.to_owned();
    vec![
        CatalogChange { kind: "relation".to_owned(), oid: 16_384, removed: false, definition },
        CatalogChange { kind: "function".to_owned(), oid: 16_390, removed: true, definition: String::new() },
    ]
}

/// The files, and the blocks that they were made of.
fn released() -> [(&'static str, Block); 9] {
    let mut packed = block();
    packed.compress(3).unwrap();
    let empty = Block { session_id: vec![7; 16], first_seq: 1, first_event: 1, ..Block::default() };
    [
        ("every-kind-none.bin", block()),
        ("every-kind-zstd.bin", packed),
        ("empty.bin", empty),
        ("omissions.bin", omissions()),
        ("encrypted.bin", encrypted()),
        ("acting.bin", acting()),
        ("leases.bin", leases()),
        ("secrets.bin", secrets()),
        ("catalog.bin", catalog()),
    ]
}

fn path(name: &str) -> PathBuf {
    ["fixtures", "v1", name].iter().collect()
}

#[test]
fn every_kind_of_event_is_in_the_fixtures() {
    let all: Vec<Event> =
        kinds().into_iter().chain(catalog().events().unwrap()).chain(leases().events().unwrap()).collect();
    let mut names: Vec<&str> = all.iter().map(|event| name(event.kind.as_ref().unwrap())).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 14);
}

#[test]
fn released_changes_of_a_catalog_unpack() {
    let bytes = std::fs::read(path("catalog.bin")).unwrap();
    let events = Block::decode(&bytes[..]).unwrap().events().unwrap();
    let Some(Kind::CatalogRead(read)) = &events[0].kind else { panic!("{events:?}") };
    assert_eq!(read.unpack().unwrap(), changes());
}

#[test]
fn released_bytes_decode_to_what_they_were_made_of() {
    for (name, expected) in released() {
        let bytes = std::fs::read(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let found = Block::decode(&bytes[..]).unwrap();
        // Of a compressed payload the content counts: another zstd may make other bytes of it.
        let Block { payload, .. } = &expected;
        let same_bytes = Block { payload: payload.clone(), ..found.clone() };
        assert_eq!(same_bytes, expected, "{name}");
        assert_eq!(found.events().unwrap(), expected.events().unwrap(), "{name}");
        assert_eq!(found.open().unwrap(), expected.open().unwrap(), "{name}");
        assert_eq!(found.encode_to_vec(), bytes, "{name} is encoded as it was");
    }
    assert_eq!(block().events().unwrap(), kinds());
}

#[test]
fn no_released_file_goes_untested() {
    let tested = released().map(|(name, _)| name);
    for file in std::fs::read_dir(path("")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(tested.contains(&name.as_str()), "{name}");
    }
}

#[test]
#[ignore = "writes files that are missing in fixtures/v1"]
fn write_missing_fixtures() {
    std::fs::create_dir_all(path("")).unwrap();
    for (name, block) in released().into_iter().filter(|(name, _)| !path(name).exists()) {
        std::fs::write(path(name), block.encode_to_vec()).unwrap();
    }
}
