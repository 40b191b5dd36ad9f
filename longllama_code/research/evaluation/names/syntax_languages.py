"""Languages of ``syntax``: where the grammar of each one has names.

A place is ``parent.field``, the type of the node around an identifier and the field that it fills
there, or ``parent`` alone where it fills none. ``tests/research/evaluation/test_syntax_names.py``
checks that the grammars have every type and every field that is named here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longllama_code.definitions.languages.grammars import kinds

if TYPE_CHECKING:
    from tree_sitter import Node

Place = tuple[str, str | None]
Condition = Callable[["Node"], bool]


def places(text: str) -> frozenset[Place]:
    """Places, written as in the head of this module."""
    found: set[Place] = set()
    for word in text.split():
        kind, _, field_name = word.partition(".")
        found.add((kind, field_name or None))
    return frozenset(found)


def _always(_: Node) -> bool:
    return True


def _has(name: str) -> Condition:
    return lambda node: node.child_by_field_name(name) is not None


def _lacks(name: str) -> Condition:
    return lambda node: node.child_by_field_name(name) is None


def _requires(declaration: Node) -> bool:
    """Whether all that a JavaScript declaration declares comes from ``require(…)``."""
    declared = declaration.named_children
    return bool(declared) and all(
        _is_required(one.child_by_field_name("value")) for one in declared
    )


def _is_required(value: Node | None) -> bool:
    """Whether a value is ``require(…)``, a member of it, or a call of it."""
    while value is not None and value.type in ("call_expression", "member_expression"):
        inner = "function" if value.type == "call_expression" else "object"
        value = value.child_by_field_name(inner)
    return value is not None and value.type == "identifier" and value.text == b"require"


@dataclass(frozen=True)
class Language:
    """One grammar.

    Attributes:
        module: the package of the grammar.
        grammar: its function that gives the language.
        binds: places where an identifier is given a value, or is declared.
        functions: nodes whose body and parameters are local.
        imports: nodes that are imports, if they meet the condition.
        hides: other nodes whose names are local.
        table_keys: places that define a name outside functions, and use it inside.
        variables: places in patterns that define where the name begins in lower case, and
            otherwise name a type or a constant.
        with_body: nodes that define a name if they have a body, and otherwise refer to it.
        within: places whose identifier names the node around it.
        owners: objects whose members are defined by assignment.
        skips: nodes whose identifiers are no names of the program.
    """

    module: str
    grammar: str
    binds: frozenset[Place]
    functions: frozenset[str]
    imports: Mapping[str, Condition]
    hides: frozenset[str] = frozenset()
    table_keys: frozenset[Place] = frozenset()
    variables: frozenset[Place] = frozenset()
    with_body: frozenset[str] = frozenset()
    within: frozenset[Place] = frozenset()
    owners: frozenset[str] = frozenset()
    skips: frozenset[str] = frozenset()


_JAVASCRIPT_BINDS = """
    function_declaration.name generator_function_declaration.name function_expression.name
    generator_function.name class_declaration.name class.name method_definition.name
    variable_declarator.name arrow_function.parameter catch_clause.parameter for_in_statement.left
    rest_pattern array_pattern object_pattern pair_pattern.value assignment_pattern.left
    object_assignment_pattern.left
"""
_JAVASCRIPT_FUNCTIONS = kinds(
    """
    function_declaration generator_function_declaration function_expression generator_function
    arrow_function method_definition
    """
)
_JAVASCRIPT_IMPORTS = {
    "import_statement": _always,
    "export_statement": _has("source"),
    "lexical_declaration": _requires,
    "variable_declaration": _requires,
}
# Arguments of a call, such as a table of options, are not exported.
_JAVASCRIPT_HIDES = kinds("arguments class_static_block catch_clause")

JAVASCRIPT = Language(
    module="tree_sitter_javascript",
    grammar="language",
    binds=places(_JAVASCRIPT_BINDS + "formal_parameters field_definition.property"),
    functions=_JAVASCRIPT_FUNCTIONS,
    imports=_JAVASCRIPT_IMPORTS,
    hides=_JAVASCRIPT_HIDES,
    table_keys=places("pair.key"),
    owners=frozenset({"this", "exports", "module.exports"}),
    skips=kinds("jsx_closing_element"),
)


def _typescript(grammar: str, *skips: str) -> Language:
    return Language(
        module="tree_sitter_typescript",
        grammar=grammar,
        binds=places(
            _JAVASCRIPT_BINDS
            + """
            abstract_class_declaration.name public_field_definition.name method_signature.name
            abstract_method_signature.name property_signature.name function_signature.name
            interface_declaration.name enum_declaration.name type_alias_declaration.name module.name
            internal_module.name enum_body.name enum_assignment.name required_parameter.pattern
            optional_parameter.pattern type_parameter.name mapped_type_clause.name
            index_signature.name
            """
        ),
        functions=_JAVASCRIPT_FUNCTIONS
        | kinds(
            """
            method_signature abstract_method_signature function_signature function_type
            call_signature construct_signature constructor_type
            """
        ),
        imports=_JAVASCRIPT_IMPORTS,
        hides=_JAVASCRIPT_HIDES | kinds("type_parameters index_signature"),
        table_keys=places("pair.key"),
        owners=frozenset({"exports", "module.exports"}),  # a class declares its fields
        skips=frozenset(skips),
    )


TYPESCRIPT = _typescript("language_typescript")
TSX = _typescript("language_tsx", "jsx_closing_element")

GO = Language(
    module="tree_sitter_go",
    grammar="language",
    binds=places(
        """
        function_declaration.name method_declaration.name method_elem.name type_spec.name
        type_alias.name const_spec.name var_spec.name field_declaration.name
        parameter_declaration.name variadic_parameter_declaration.name
        type_parameter_declaration.name short_var_declaration.left range_clause.left
        receive_statement.left type_switch_statement.alias
        """
    ),
    functions=kinds(
        """
        function_declaration method_declaration method_elem func_literal function_type
        """
    ),
    imports={"import_declaration": _always, "package_clause": _always},
    hides=kinds("type_parameter_list"),
    within=places("expression_list"),
)

RUST = Language(
    module="tree_sitter_rust",
    grammar="language",
    binds=places(
        """
        function_item.name function_signature_item.name struct_item.name union_item.name
        enum_item.name enum_variant.name trait_item.name type_item.name associated_type.name
        const_item.name static_item.name mod_item.name macro_definition.name field_declaration.name
        type_parameter.name const_parameter.name closure_parameters parameter.pattern
        """
    ),
    functions=kinds("function_item function_signature_item closure_expression function_type"),
    imports={
        "use_declaration": _always,
        "extern_crate_declaration": _always,
        "mod_item": _lacks("body"),
    },
    hides=kinds("type_parameters"),
    variables=places(
        """
        let_declaration.pattern let_condition.pattern for_expression.pattern match_pattern
        mut_pattern ref_pattern reference_pattern tuple_pattern slice_pattern captured_pattern
        tuple_struct_pattern or_pattern field_pattern.pattern
        """
    ),
    skips=kinds("lifetime"),
)

JAVA = Language(
    module="tree_sitter_java",
    grammar="language",
    binds=places(
        """
        class_declaration.name interface_declaration.name enum_declaration.name
        record_declaration.name annotation_type_declaration.name
        annotation_type_element_declaration.name method_declaration.name
        constructor_declaration.name compact_constructor_declaration.name enum_constant.name
        variable_declarator.name formal_parameter.name catch_formal_parameter.name
        enhanced_for_statement.name resource.name lambda_expression.parameters inferred_parameters
        instanceof_expression.name type_parameter
        """
    ),
    functions=kinds("method_declaration constructor_declaration lambda_expression"),
    imports={"import_declaration": _always, "package_declaration": _always},
    hides=kinds("block type_parameters"),
    variables=places("type_pattern record_pattern_component"),
)

_C_BINDS = """
    declaration.declarator field_declaration.declarator parameter_declaration.declarator
    type_definition.declarator init_declarator.declarator pointer_declarator.declarator
    array_declarator.declarator function_declarator.declarator parenthesized_declarator
    attributed_declarator enumerator.name preproc_def.name
    preproc_function_def.name preproc_params struct_specifier.name union_specifier.name
    enum_specifier.name
"""
_C_FUNCTIONS = kinds("function_definition function_declarator abstract_function_declarator")
_C_BODIES = kinds("struct_specifier union_specifier enum_specifier")

C = Language(
    module="tree_sitter_c",
    grammar="language",
    binds=places(_C_BINDS),
    functions=_C_FUNCTIONS,
    imports={"preproc_include": _always},
    hides=kinds("preproc_params"),
    with_body=_C_BODIES,
)
CPP = Language(
    module="tree_sitter_cpp",
    grammar="language",
    binds=places(
        _C_BINDS
        + """
        class_specifier.name reference_declarator structured_binding_declarator
        for_range_loop.declarator optional_parameter_declaration.declarator variadic_declarator
        namespace_definition.name namespace_alias_definition.name alias_declaration.name
        concept_definition.name type_parameter_declaration variadic_type_parameter_declaration
        optional_type_parameter_declaration.name
        """
    ),
    functions=_C_FUNCTIONS | kinds("lambda_expression"),
    imports={"preproc_include": _always, "using_declaration": _always},
    hides=kinds("preproc_params template_parameter_list"),
    with_body=_C_BODIES | kinds("class_specifier"),
    within=places("qualified_identifier.name"),
)
