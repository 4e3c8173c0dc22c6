use super::machine::MAX_STACK;
use super::*;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use std::collections::BTreeMap;

/// What chromadb 1.5.9 writes (protocol 3, a plain dict), for these ids and labels.
pub(crate) fn chroma_pickle(ids: &[(&str, u32)]) -> Vec<u8> {
    fn text(out: &mut Vec<u8>, text: &str) {
        out.push(b'X');
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    }
    fn int(out: &mut Vec<u8>, value: u32) {
        out.push(b'J');
        out.extend(value.to_le_bytes());
    }
    let mut out = b"\x80\x03}(".to_vec();
    text(&mut out, "dimensionality");
    out.push(b'N');
    text(&mut out, "total_elements_added");
    int(&mut out, ids.len() as u32);
    text(&mut out, "max_seq_id");
    out.push(b'N');
    text(&mut out, "id_to_label");
    out.extend(b"}(");
    for (at, (id, label)) in ids.iter().enumerate() {
        if at > 0 && at % 1000 == 0 {
            out.extend(b"u(");
        }
        text(&mut out, id);
        int(&mut out, *label);
    }
    out.push(b'u');
    text(&mut out, "label_to_id");
    out.extend(b"}(");
    for (at, (id, label)) in ids.iter().enumerate() {
        if at > 0 && at % 1000 == 0 {
            out.extend(b"u(");
        }
        int(&mut out, *label);
        text(&mut out, id);
    }
    out.push(b'u');
    text(&mut out, "id_to_seq_id");
    out.extend(b"}u.");
    out
}

fn read(bytes: &[u8]) -> Result<IndexMetadata, Trouble> {
    read_index_metadata(bytes, bytes.len() as u64, 1000, &Fingerprints::new())
}

/// The labels by id, as far as the ids are these.
fn labels_of(bytes: &[u8], ids: &[&str]) -> BTreeMap<String, u32> {
    let fingerprints = Fingerprints::new();
    let found = read_index_metadata(bytes, bytes.len() as u64, 1000, &fingerprints).unwrap();
    let label = |id: &str| found.labels.iter().find(|l| l.id == fingerprints.of(id.as_bytes())).map(|l| l.label);
    assert_eq!(found.labels.len(), ids.len());
    ids.iter().map(|id| ((*id).to_owned(), label(id).unwrap())).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn expected() -> BTreeMap<String, u32> {
    BTreeMap::from([("a".to_owned(), 1), ("ü\\\n🙂".to_owned(), 300), ("id_to_label".to_owned(), 70_000)])
}

const IDS: [&str; 3] = ["a", "ü\\\n🙂", "id_to_label"];

#[test]
fn the_dict_of_chroma_1_is_read() {
    let pickle = chroma_pickle(&[("a", 1), ("ü\\\n🙂", 300), ("id_to_label", 70_000)]);
    assert_eq!(labels_of(&pickle, &IDS), expected());
    assert!(!read(&pickle).unwrap().legacy);
}

#[test]
fn the_persistent_data_of_chroma_0_6_is_read_in_every_protocol() {
    for pickle in PERSISTENT_DATA {
        let pickle = unhex(pickle);
        assert_eq!(labels_of(&pickle, &IDS), expected());
        let found = read(&pickle).unwrap();
        assert_eq!((found.legacy, found.max_row_seq_id, found.max_seq_id), (true, Some(5_000_000_000), Some(9)));
    }
}

#[test]
fn a_pickle_that_names_code_runs_nothing_and_is_no_id_map() {
    for pickle in [&b"cos\nsystem\n(S'true'\ntR."[..], b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R."] {
        assert!(matches!(read(pickle), Err(Trouble::Damaged(_))));
    }
}

#[test]
fn a_truncated_pickle_is_damage_wherever_it_ends() {
    let pickle = chroma_pickle(&[("a", 1), ("b", 2)]);
    for end in 0..pickle.len() {
        assert!(matches!(read(&pickle[..end]), Err(Trouble::Damaged(_))), "{end}");
    }
}

#[test]
fn a_string_longer_than_the_file_is_refused_before_it_is_read() {
    for pickle in
        [&b"X\xff\xff\xff\xff"[..], b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff", b"\x96\xff\xff\xff\xff\x00\x00\x00\x00"]
    {
        assert!(matches!(read(pickle), Err(Trouble::Damaged(_))));
    }
}

#[test]
fn values_without_end_on_stack_or_memo_are_refused() {
    let mut stack = b"N".to_vec();
    stack.resize(MAX_STACK + 2, b'2');
    let mut memo = b"N".to_vec();
    memo.resize(1 << 20, 0x94);
    for pickle in [stack, memo] {
        assert!(matches!(read(&pickle), Err(Trouble::Damaged(_))));
    }
}

#[test]
fn a_container_recalled_a_million_times_costs_nothing() {
    let mut pickle = b"}q\x00".to_vec();
    for _ in 0..1_000_000 {
        pickle.extend(b"h\x000");
    }
    pickle.extend(&chroma_pickle(&[("a", 1)])[2..]);
    assert!(matches!(read(&pickle), Err(Trouble::Damaged(_))), "two values are left");
}

#[test]
fn more_labels_than_elements_are_refused() {
    let ids: Vec<String> = (0..1001).map(|i| i.to_string()).collect();
    let ids: Vec<(&str, u32)> = ids.iter().enumerate().map(|(i, id)| (id.as_str(), i as u32)).collect();
    assert!(read(&chroma_pickle(&ids[..1000])).is_ok());
    assert!(matches!(read(&chroma_pickle(&ids)), Err(Trouble::Damaged(_))));
}

#[test]
fn labels_that_are_none_are_refused() {
    for value in ["J\u{0}\u{0}\u{0}\u{80}", "N", "X\u{1}\u{0}\u{0}\u{0}a"] {
        let value: Vec<u8> = value.chars().map(|c| c as u8).collect();
        let pickle = [b"}(X\x0b\x00\x00\x00id_to_label}(X\x01\x00\x00\x00a".to_vec(), value, b"uu.".to_vec()].concat();
        assert!(matches!(read(&pickle), Err(Trouble::Damaged(_))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_failure_persistence(FileFailurePersistence::WithSource("regressions")))]

    #[test]
    fn no_bytes_make_the_pickle_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_run_of_opcodes_makes_the_pickle_reader_panic(
        ops in proptest::collection::vec(proptest::sample::select(&b"}(ud s2a0tle1]N)K\x01h\x00q\x00\x94\x85\x86\x87Rb\x81X\x00\x00\x00\x00"[..]), 0..200)
    ) {
        let _ = read(&ops);
    }

    #[test]
    fn a_mutated_pickle_never_panics_nor_holds_more_than_its_size_allows(
        which in 0..=PERSISTENT_DATA.len(), changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)
    ) {
        let mut pickle = match PERSISTENT_DATA.get(which) {
            Some(pickle) => unhex(pickle),
            None => chroma_pickle(&[("a", 1), ("b", 2), ("c", 3)]),
        };
        for (at, value) in changes {
            let at = at % pickle.len();
            pickle[at] = value;
        }
        if let Ok(found) = read(&pickle) {
            prop_assert!(found.labels.len() <= pickle.len() / 4);
            prop_assert!(found.labels.capacity() <= pickle.len());
        }
    }

    #[test]
    fn what_chroma_writes_is_read_back(ids in proptest::collection::btree_map(".{0,30}", 0u32..u32::MAX / 2, 0..50)) {
        let pairs: Vec<(&str, u32)> = ids.iter().map(|(id, label)| (id.as_str(), *label)).collect();
        let names: Vec<&str> = ids.keys().map(String::as_str).collect();
        prop_assert_eq!(labels_of(&chroma_pickle(&pairs), &names), ids);
    }
}

/// `PersistentData` objects as Python pickles them in protocols 0 to 5, in hexadecimal.
const PERSISTENT_DATA: [&str; 6] = [
    "63636f70795f7265670a5f7265636f6e7374727563746f720a70300a28636368726f6d6164622e7365676d656e742e696d706c2e7665\
     63746f722e6c6f63616c5f70657273697374656e745f686e73770a50657273697374656e74446174610a70310a635f5f6275696c7469\
     6e5f5f0a6f626a6563740a70320a4e7470330a5270340a286470350a5664696d656e73696f6e616c6974790a70360a49330a7356746f\
     74616c5f656c656d656e74735f61646465640a70370a49330a73566d61785f7365715f69640a70380a49390a735669645f746f5f6c61\
     62656c0a70390a28647031300a56610a7031310a49310a7356fc5c75303035635c75303030615c5530303031663634320a7031320a49\
     3330300a7367390a4937303030300a7373566c6162656c5f746f5f69640a7031330a28647031340a49310a6731310a73493330300a67\
     31320a734937303030300a67390a73735669645f746f5f7365715f69640a7031350a28647031360a6731310a4c353030303030303030\
     304c0a736731320a493330300a7367390a4937303030300a7373622e",
    "63636f70795f7265670a5f7265636f6e7374727563746f720a710028636368726f6d6164622e7365676d656e742e696d706c2e766563\
     746f722e6c6f63616c5f70657273697374656e745f686e73770a50657273697374656e74446174610a7101635f5f6275696c74696e5f\
     5f0a6f626a6563740a71024e7471035271047d710528580e00000064696d656e73696f6e616c69747971064b035814000000746f7461\
     6c5f656c656d656e74735f616464656471074b03580a0000006d61785f7365715f696471084b09580b00000069645f746f5f6c616265\
     6c71097d710a28580100000061710b4b015808000000c3bc5c0af09f9982710c4d2c0168094a7011010075580b0000006c6162656c5f\
     746f5f6964710d7d710e284b01680b4d2c01680c4a70110100680975580c00000069645f746f5f7365715f6964710f7d711028680b4c\
     353030303030303030304c0a680c4d2c0168094a701101007575622e",
    "8002636368726f6d6164622e7365676d656e742e696d706c2e766563746f722e6c6f63616c5f70657273697374656e745f686e73770a\
     50657273697374656e74446174610a7100298171017d710228580e00000064696d656e73696f6e616c69747971034b03581400000074\
     6f74616c5f656c656d656e74735f616464656471044b03580a0000006d61785f7365715f696471054b09580b00000069645f746f5f6c\
     6162656c71067d71072858010000006171084b015808000000c3bc5c0af09f998271094d2c0168064a7011010075580b0000006c6162\
     656c5f746f5f6964710a7d710b284b0168084d2c0168094a70110100680675580c00000069645f746f5f7365715f6964710c7d710d28\
     68088a0500f2052a0168094d2c0168064a701101007575622e",
    "8003636368726f6d6164622e7365676d656e742e696d706c2e766563746f722e6c6f63616c5f70657273697374656e745f686e73770a\
     50657273697374656e74446174610a7100298171017d710228580e00000064696d656e73696f6e616c69747971034b03581400000074\
     6f74616c5f656c656d656e74735f616464656471044b03580a0000006d61785f7365715f696471054b09580b00000069645f746f5f6c\
     6162656c71067d71072858010000006171084b015808000000c3bc5c0af09f998271094d2c0168064a7011010075580b0000006c6162\
     656c5f746f5f6964710a7d710b284b0168084d2c0168094a70110100680675580c00000069645f746f5f7365715f6964710c7d710d28\
     68088a0500f2052a0168094d2c0168064a701101007575622e",
    "80049503010000000000008c326368726f6d6164622e7365676d656e742e696d706c2e766563746f722e6c6f63616c5f706572736973\
     74656e745f686e7377948c0e50657273697374656e74446174619493942981947d94288c0e64696d656e73696f6e616c697479944b03\
     8c14746f74616c5f656c656d656e74735f6164646564944b038c0a6d61785f7365715f6964944b098c0b69645f746f5f6c6162656c94\
     7d94288c0161944b018c08c3bc5c0af09f9982944d2c0168084a70110100758c0b6c6162656c5f746f5f6964947d94284b01680a4d2c\
     01680b4a701101006808758c0c69645f746f5f7365715f6964947d9428680a8a0500f2052a01680b4d2c0168084a701101007575622e",
    "80059503010000000000008c326368726f6d6164622e7365676d656e742e696d706c2e766563746f722e6c6f63616c5f706572736973\
     74656e745f686e7377948c0e50657273697374656e74446174619493942981947d94288c0e64696d656e73696f6e616c697479944b03\
     8c14746f74616c5f656c656d656e74735f6164646564944b038c0a6d61785f7365715f6964944b098c0b69645f746f5f6c6162656c94\
     7d94288c0161944b018c08c3bc5c0af09f9982944d2c0168084a70110100758c0b6c6162656c5f746f5f6964947d94284b01680a4d2c\
     01680b4a701101006808758c0c69645f746f5f7365715f6964947d9428680a8a0500f2052a01680b4d2c0168084a701101007575622e",
];
