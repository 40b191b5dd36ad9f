"""Products and search."""

import pytest
from shop.catalog.product_table import ProductTable
from shop.catalog.products import Category
from shop.catalog.search import SearchIndex
from shop.database import Database
from shop.errors import UnknownProduct
from shop.money import Money
from shop.seed import PRODUCTS


@pytest.fixture
def products(database: Database) -> ProductTable:
    return ProductTable(database)


def test_a_product_is_stored_whole(products: ProductTable) -> None:
    assert products.by_sku("TEA-0001") == PRODUCTS[2]


def test_a_price_can_change(products: ProductTable) -> None:
    products.save(PRODUCTS[0].with_price(Money(10_00)))
    assert products.by_sku("COF-0001").price == Money(10_00)
    assert len(products.listed()) == len(PRODUCTS)


def test_unknown_products_are_named(products: ProductTable) -> None:
    with pytest.raises(UnknownProduct, match="TEA-9999"):
        products.by_sku("TEA-9999")


def test_a_shelf_has_its_products_by_title(products: ProductTable) -> None:
    assert [each.title for each in products.listed(Category.TEA)] == ["Assam", "Sencha"]


def test_what_is_hidden_is_not_listed(products: ProductTable) -> None:
    products.unlist("TEA-0001")
    assert [each.sku for each in products.listed(Category.TEA)] == ["TEA-0002"]
    assert products.by_sku("TEA-0001").title == "Sencha"
    with pytest.raises(UnknownProduct):
        products.unlist("TEA-9999")


def test_search_finds_all_words_best_first() -> None:
    index = SearchIndex(PRODUCTS)
    assert [each.title for each in index.find("roast")] == ["Yirgacheffe", "Santos"]
    assert [each.title for each in index.find("tea green")] == ["Sencha"]
    assert [each.title for each in index.find("ESPR")] == ["Espresso cup"]
    assert index.find("") == index.find("green grinder") == []


def test_search_forgets_former_titles() -> None:
    index = SearchIndex(PRODUCTS)
    index.remove("COF-0002")
    assert index.find("santos") == []
