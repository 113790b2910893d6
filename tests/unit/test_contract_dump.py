"""Definitions and rows of tables in dumps: the same for the same tables."""

from contract.dump import identified, normal

HEAD = "CREATE TABLE `t` (\n  `id` int(11) NOT NULL AUTO_INCREMENT,\n  PRIMARY KEY (`id`),\n"
TAIL = "\n) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb3"


def test_indexes_come_by_name_and_keep_their_kind() -> None:
    one = "  UNIQUE KEY `z` (`z`),\n  KEY `b` (`b`),\n  KEY `a` (`a`)"
    other = "  UNIQUE KEY `z` (`z`),\n  KEY `a` (`a`),\n  KEY `b` (`b`)"
    assert normal(HEAD + one + TAIL) == normal(HEAD + other + TAIL)
    assert normal(HEAD + one + TAIL) == HEAD + other + TAIL.replace(" AUTO_INCREMENT=7", "")


def test_what_follows_the_indexes_stays_there() -> None:
    foreign = ",\n  CONSTRAINT `c` FOREIGN KEY (`b`) REFERENCES `o` (`id`)"
    one = "  KEY `b` (`b`),\n  KEY `a` (`a`)"
    other = "  KEY `a` (`a`),\n  KEY `b` (`b`)"
    assert normal(HEAD + one + foreign + TAIL) == normal(HEAD + other + foreign + TAIL)
    assert normal(HEAD + one + foreign + TAIL).count(",\n") == (HEAD + one + foreign).count(",\n")
    assert "  KEY `b` (`b`),\n  CONSTRAINT `c`" in normal(HEAD + one + foreign + TAIL)


def test_an_id_follows_from_the_rest_of_its_row() -> None:
    ingress = {"id": "24bcba61", "direction": "ingress", "port": None}
    [one, *rest] = identified("rules", ingress)
    assert rest == ["ingress", None]
    assert identified("rules", {**ingress, "id": "14aeaaf8"}) == (one, *rest)
    others = (identified("rules", {**ingress, "direction": "egress"}), identified("r", ingress))
    assert len({one, *(other[0] for other in others)}) == 3
