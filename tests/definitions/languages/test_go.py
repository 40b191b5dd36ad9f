"""What texts in Go say, and which files their imports mean."""

import pytest

from tests.definitions.small_repository import named, shown, stands_for

SERVER = """
    package server

    import (
        "fmt"
        store "example.com/port/internal/shop"
    )

    // Server serves ships.
    type Server struct {
        fmt.Stringer
        *Base
        shop *store.Shop `json:"shop"`
        Limit, Depth int
    }

    type Handler interface {
        Serve(name string) (*Server, error)
    }

    type Kind int

    const (
        Small Kind = iota
        Large
    )

    var ErrFull = errors.New("full")

    // New makes one.
    func New(limit int) (*Server, error) { return nil, nil }

    func (s *Server) run(name string) error { return nil }
"""


def test_definitions_are_shown_without_bodies() -> None:
    assert shown("server/server.go", SERVER) == [
        "type Server struct {",
        "    shop *store.Shop",
        "    Limit, Depth int",
        "    Limit, Depth int",
        "type Handler interface {",
        "    Serve(name string) (*Server, error)",
        "type Kind int",
        "const Small Kind = iota",
        "const Large",
        'var ErrFull = errors.New("full")',
        "func New(limit int) (*Server, error)",
        "func (s *Server) run(name string) error",
    ]


def test_methods_belong_to_the_type_of_their_receiver() -> None:
    found = named("server/server.go", SERVER)
    assert found["Server.run"].kind == "method"
    assert found["Server"].bases == ("fmt.Stringer", "Base")
    assert found["Server"].documentation == "Server serves ships."
    assert found["New"].type == "*Server"
    assert found["Large"].type == "Kind"
    assert {name for name, one in found.items() if one.is_private} == {"Server.shop", "Server.run"}


FILES = {
    "go.mod": "module example.com/port\n\ngo 1.22\n",
    "internal/shop/shop.go": "package shop\n\ntype Shop struct {\n\tName string\n}\n",
    "internal/shop/make.go": (
        "package shop\n\nfunc New() *Shop { return nil }\n\n"
        "func (s *Shop) Open() error { return nil }\n"
    ),
    "internal/shop/shop_test.go": "package shop\n\nfunc Check() {}\n",
    "main.go": (
        'package main\n\nimport "example.com/port/internal/shop"\n\ntype Town struct {\n'
        "\tshop *shop.Shop\n}\n\nfunc (t *Town) visit() {\n"
        "\tone := shop.New()\n\tvar two shop.Shop\n"
        "\tthree := &shop.Shop{}\n\tfour, err := shop.New()\n}\n"
    ),
    "helper.go": "package main\n\nfunc help() {}\n",
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("shop.New", "internal/shop/make.go: New"),
        ("shop.Shop", "internal/shop/shop.go: Shop"),
        ("one.Open", "internal/shop/make.go: Shop.Open"),
        ("two.Name", "internal/shop/shop.go: Shop.Name"),
        ("three.Open", "internal/shop/make.go: Shop.Open"),
        ("four.Open", "internal/shop/make.go: Shop.Open"),
        ("t.shop.Open", "internal/shop/make.go: Shop.Open"),
        ("help", "helper.go: help"),
    ],
)
def test_packages_are_folders(expression: str, expected: str) -> None:
    assert stands_for(FILES, "main.go", expression, 12) == [expected]


def test_tests_of_a_package_are_no_part_of_it_elsewhere() -> None:
    assert stands_for(FILES, "main.go", "shop.Check") == []
    assert stands_for(FILES, "internal/shop/shop_test.go", "New") == ["internal/shop/make.go: New"]


def test_the_innermost_module_counts() -> None:
    files = {
        **FILES,
        "tools/go.mod": "module example.com/port/tools\n",
        "tools/knot/knot.go": "package knot\n\nfunc Tie() {}\n",
        "main.go": 'package main\n\nimport "example.com/port/tools/knot"\n',
    }
    assert stands_for(files, "main.go", "knot.Tie") == ["tools/knot/knot.go: Tie"]
