use super::*;
use proptest::prelude::*;

fn policy(config: EgressConfig) -> Policy {
    Policy::new(&config)
}

fn refused_by_default(address: &str) -> Option<Reason> {
    let address: IpAddr = address.parse().unwrap();
    let checked = policy(EgressConfig::default()).check(address);
    checked.err().map(|refusal| refusal.reason)
}

#[test]
fn every_range_is_refused_from_its_first_to_its_last_address() {
    for (network, reason) in REFUSED_V4 {
        // The smaller ranges within a larger one have a name of their own.
        for address in [network.network(), network.broadcast()] {
            let found = refused_by_default(&address.to_string());
            assert!(found.is_some(), "{address} of {network} ({reason})");
        }
    }
    for (network, reason) in REFUSED_V6 {
        for address in [network.network(), network.broadcast()] {
            let found = refused_by_default(&address.to_string());
            assert!(found.is_some(), "{address} of {network} ({reason})");
        }
    }
}

#[test]
fn the_neighbours_of_every_range_are_public() {
    let neighbours = [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2000::",
        "2001:200::",
        "2001:db7:ffff:ffff::",
        "2001:db9::",
        "2003::",
        "2606:4700::1111",
        "3ffe:ffff::",
        "64:ff9b::808:808",
    ];
    for address in neighbours {
        assert_eq!(refused_by_default(address), None, "{address}");
    }
}

#[test]
fn addresses_in_disguise_are_seen_through() {
    let disguised = [
        ("::ffff:127.0.0.1", Reason::Loopback),
        ("::ffff:169.254.169.254", Reason::Metadata),
        ("::127.0.0.1", Reason::Tunnel),
        ("::8.8.8.8", Reason::Tunnel),
        ("64:ff9b::a00:1", Reason::Private),
        ("64:ff9b::a9fe:a9fe", Reason::Metadata),
        ("64:ff9b:1::808:808", Reason::Tunnel),
        ("64:ff9b:1:abcd::808:808", Reason::Tunnel),
        ("2002:7f00:1::", Reason::Tunnel),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Reason::Tunnel),
        ("2606:4700::5efe:a00:1", Reason::Private),
        ("2606:4700::200:5efe:7f00:1", Reason::Loopback),
        ("fe80::1", Reason::LinkLocal),
        ("fec0::1", Reason::Private),
        ("fd00:ec2::254", Reason::Metadata),
        ("100::1", Reason::Reserved),
        ("100:0:0:1::1", Reason::Reserved),
        ("3fff::1", Reason::Documentation),
        ("5f00::1", Reason::Reserved),
        ("4000::1", Reason::Reserved),
        ("255.255.255.255", Reason::Broadcast),
    ];
    for (address, reason) in disguised {
        assert_eq!(refused_by_default(address), Some(reason), "{address}");
    }
    // ISATAP around a public address is as public as any other.
    assert_eq!(refused_by_default("2606:4700::5efe:808:808"), None);
}

#[test]
fn the_operator_decides_and_deny_wins() {
    let policy = policy(EgressConfig {
        allow: ["10.0.0.0/8", "64:ff9b::a42:0/112"].map(|held| held.parse().unwrap()).into(),
        deny: ["10.66.0.0/16", "8.8.8.0/24"].map(|held| held.parse().unwrap()).into(),
        ..EgressConfig::default()
    });
    let check = |address: &str| policy.check(address.parse().unwrap());
    assert_eq!(check("10.1.2.3"), Ok(()));
    assert_eq!(check("::ffff:10.1.2.3"), Ok(()));
    assert_eq!(check("64:ff9b::a01:203"), Ok(()), "leads to an allowed one");
    assert_eq!(check("10.66.0.1").unwrap_err().reason, Reason::Denied);
    assert_eq!(check("64:ff9b::808:808").unwrap_err().reason, Reason::Denied);
    let within = check("64:ff9b::a42:1").unwrap_err();
    assert_eq!(within.reason, Reason::Denied, "though what leads there is allowed");
    assert_eq!(check("192.168.0.1").unwrap_err().reason, Reason::Private);
    assert_eq!(check("8.8.4.4"), Ok(()));
}

/// Networks of every length around an address, the address alone last.
fn networks_around(address: IpAddr) -> Vec<IpNet> {
    let longest = IpNet::from(address).max_prefix_len();
    (0..=longest).map(|bits| IpNet::new(address, bits).unwrap().trunc()).collect()
}

fn policy_allowing(allow: &[IpNet]) -> Policy {
    policy(EgressConfig { allow: allow.to_vec(), ..EgressConfig::default() })
}

#[test]
fn a_metadata_service_is_reached_only_where_it_is_named_itself() {
    let metadata = |(reason, address)| (reason == Reason::Metadata).then_some(address);
    let v4 = REFUSED_V4.iter().map(|(net, reason)| (*reason, IpAddr::from(net.network())));
    let v6 = REFUSED_V6.iter().map(|(net, reason)| (*reason, IpAddr::from(net.network())));
    let mut services: Vec<IpAddr> = v4.chain(v6).filter_map(metadata).collect();
    services.extend(["fd00:ec2::254", "fd20:ce::254"].map(|text| text.parse::<IpAddr>().unwrap()));
    assert!(services.len() >= 14, "{services:?}");
    for service in services {
        let networks = networks_around(service);
        let (itself, wider) = networks.split_last().unwrap();
        let refused = policy_allowing(wider).check(service).unwrap_err();
        assert_eq!((refused.reason, refused.remedy()), (Reason::Metadata, String::new()));
        assert_eq!(policy_allowing(&[*itself]).check(service), Ok(()), "{service}");
    }
    let mapped = policy_allowing(&["::ffff:169.254.169.254/128".parse().unwrap()]);
    assert_eq!(mapped.check("169.254.169.254".parse().unwrap()), Ok(()));
    assert!(mapped.check("169.254.170.2".parse().unwrap()).is_err());
    let network = policy_allowing(&["169.254.0.0/16".parse().unwrap()]);
    assert_eq!(network.check("169.254.1.1".parse().unwrap()), Ok(()), "its other hosts are open");
}

#[test]
fn a_translator_that_is_allowed_leads_only_where_its_addresses_lead() {
    let nets = ["64:ff9b::/96", "64:ff9b:1::/48", "2606:4700::/32", "192.168.0.0/16"];
    let policy = policy_allowing(&nets.map(|net| net.parse().unwrap()));
    let check = |address: &str| policy.check(address.parse().unwrap()).map_err(|held| held.reason);
    for front in ["64:ff9b::", "64:ff9b:1:7::", "2606:4700::5efe:"] {
        let at = |last: &str| check(&format!("{front}{last}"));
        assert_eq!(at("808:808"), Ok(()), "{front}");
        assert_eq!(at("c0a8:1"), Ok(()), "{front} to what is allowed");
        assert_eq!(at("a00:1"), Err(Reason::Private), "{front}");
        assert_eq!(at("7f00:1"), Err(Reason::Loopback), "{front}");
        assert_eq!(at("a9fe:a9fe"), Err(Reason::Metadata), "{front}");
    }
}

#[test]
fn a_tunnel_that_is_allowed_leads_only_where_its_ends_are() {
    for nets in [["2002::/16", "2001::/32"], ["::/0", "::/0"]] {
        let policy = policy_allowing(&nets.map(|net| net.parse().unwrap()));
        let check =
            |address: &str| policy.check(address.parse().unwrap()).map_err(|held| held.reason);
        assert_eq!(check("2002:808:808::1"), Ok(()));
        assert_eq!(check("2002:a00:1::1"), Err(Reason::Private));
        assert_eq!(check("2002:a9fe:a9fe::1"), Err(Reason::Metadata));
        // The client's bits are turned around: 8.8.8.8, 10.0.0.1; the server is 9.9.9.9.
        assert_eq!(check("2001:0:909:909::f7f7:f7f7"), Ok(()));
        assert_eq!(check("2001:0:909:909::f5ff:fffe"), Err(Reason::Private));
        assert_eq!(check("2001:0:7f00:1::f7f7:f7f7"), Err(Reason::Loopback));
    }
}

#[test]
fn a_sites_translator_leads_nowhere_else_in_any_of_its_readings() {
    let check = |net: &str, address: &str| {
        let policy = policy_allowing(&[net.parse().unwrap()]);
        policy.check(address.parse().unwrap()).map_err(|held| held.reason)
    };
    // 10.0.1.2 and 8.8.1.2 behind networks of 48, 56, 64 and 96 bits (RFC 6052, section 2.4).
    for (private, public) in [
        ("64:ff9b:1:a00:1:200::", "64:ff9b:1:808:1:200::"),
        ("64:ff9b:1:a00:1:200:9:9", "64:ff9b:1:808:1:200:9:9"),
        ("64:ff9b:1:a:0:102::", "64:ff9b:1:8:8:102::"),
        ("64:ff9b:1:0:a:1:200:0", "64:ff9b:1:0:8:801:200:0"),
        ("64:ff9b:1::a00:102", "64:ff9b:1::808:102"),
    ] {
        assert_eq!(check("64:ff9b:1::/48", private), Err(Reason::Private), "{private}");
        assert_eq!(check("64:ff9b:1::/48", public), Ok(()), "{public}");
    }
    let packed = "64:ff9b:1:a00::808:808";
    assert_eq!(check("64:ff9b:1::/48", packed), Err(Reason::Private), "by one reading");
    assert_eq!(check("64:ff9b:1:a00::/96", packed), Ok(()), "of which the operator says another");
    assert_eq!(check("64:ff9b:1:a00::/96", "64:ff9b:1:a00::a00:1"), Err(Reason::Private));
}

#[test]
fn a_network_that_would_hold_no_address_is_refused() {
    for net in ["::ffff:10.0.0.0/95", "::ffff:10.0.0.0/8", "::ffff:0.0.0.0/0"] {
        let net: IpNet = net.parse().unwrap();
        let allow = EgressConfig { allow: vec![net], ..EgressConfig::default() };
        let deny = EgressConfig { deny: vec![net], ..EgressConfig::default() };
        for (config, name) in [(allow, "`egress.allow`"), (deny, "`egress.deny`")] {
            let error = config.check().unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains(name), "{error}");
            assert!(crate::dispatch::Egress::new(&config).is_err());
        }
    }
    for net in ["::ffff:10.0.0.0/104", "::ffff:0.0.0.0/96", "::/0", "fc00::/7", "10.0.0.0/8"] {
        let deny = vec![net.parse().unwrap()];
        EgressConfig { deny, ..EgressConfig::default() }.check().unwrap();
    }
}

#[test]
fn development_reaches_local_addresses_and_no_others() {
    let policy = policy(EgressConfig { development: true, ..EgressConfig::default() });
    for address in ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd12::1", "100.64.0.1"] {
        assert_eq!(policy.check(address.parse().unwrap()), Ok(()), "{address}");
    }
    for address in ["169.254.169.254", "fd00:ec2::254", "0.0.0.0", "224.0.0.1", "2002:7f00:1::"] {
        assert!(policy.check(address.parse().unwrap()).is_err(), "{address}");
    }
}

#[test]
fn ports_and_own_listeners_are_refused() {
    let policy = policy(EgressConfig {
        ports: vec![80, 443, 8080],
        own_addresses: vec!["8.8.8.8:443".parse().unwrap(), "0.0.0.0:8080".parse().unwrap()],
        development: true,
        ..EgressConfig::default()
    });
    let check = |address: &str| {
        let checked = policy.check_socket(address.parse().unwrap());
        checked.err().map(|refusal| refusal.reason)
    };
    assert_eq!(check("8.8.8.8:443"), Some(Reason::Own));
    assert_eq!(check("[::ffff:8.8.8.8]:443"), Some(Reason::Own));
    assert_eq!(check("8.8.8.8:80"), None);
    assert_eq!(check("127.0.0.1:8080"), Some(Reason::Own));
    assert_eq!(check("127.0.0.1:80"), None);
    assert_eq!(check("8.8.8.8:22"), Some(Reason::Port));
    assert!(policy.listens_everywhere(8080));
    assert!(!policy.listens_everywhere(443));
}

#[test]
fn a_refusal_says_what_would_allow_it() {
    let policy = policy(EgressConfig::default());
    let refusal = policy.check("10.0.0.1".parse().unwrap()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the address is private; allow it with `egress.allow = [\"10.0.0.1/32\"]`"
    );
    let remedy = |address: &str| policy.check(address.parse().unwrap()).unwrap_err().remedy();
    assert!(remedy("fd12::1").contains("[\"fd12::1/128\"]"), "{}", remedy("fd12::1"));
    assert_eq!((remedy("169.254.1.1"), remedy("fe80::1")), (String::new(), String::new()));
    let metadata = policy.check("169.254.169.254".parse().unwrap()).unwrap_err();
    assert_eq!(metadata.to_string(), "the address is a cloud's metadata service");
}

proptest! {
    #[test]
    fn nothing_that_the_standard_library_calls_special_is_reached(bits: u32) {
        let address = Ipv4Addr::from(bits);
        let special = address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_multicast()
            || address.is_broadcast()
            || address.is_documentation()
            || address.is_unspecified()
            || address.octets()[0] == 0
            || address.octets()[0] >= 240;
        let refused = classify(address.into()).is_some();
        prop_assert!(refused || !special, "{address}");
    }

    #[test]
    fn an_ipv4_address_is_judged_alike_in_every_packing(bits: u32, host in 0_u16..4) {
        let policy = policy(EgressConfig::default());
        let address = Ipv4Addr::from(bits);
        let plain = policy.check(address.into());
        let [a, b, c, d] = address.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let mapped = IpAddr::V6(address.to_ipv6_mapped());
        prop_assert_eq!(policy.check(mapped), plain);
        let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
        prop_assert_eq!(policy.check(nat64.into()), plain);
        let isatap = Ipv6Addr::new(0x2606, 0x4700, 0, host, 0x200, 0x5efe, high, low);
        prop_assert_eq!(policy.check(isatap.into()), plain);
        let six_to_four = Ipv6Addr::new(0x2002, high, low, host, 0, 0, 0, 1);
        prop_assert!(policy.check(six_to_four.into()).is_err());
    }

    #[test]
    fn outside_the_public_eighth_no_ipv6_address_is_reached(bits: u128) {
        let address = Ipv6Addr::from(bits);
        prop_assume!(!PUBLIC_V6.contains(&address) && !NAT64.contains(&address));
        prop_assume!(address.to_ipv4_mapped().is_none());
        prop_assert!(policy(EgressConfig::default()).check(address.into()).is_err());
    }
}
