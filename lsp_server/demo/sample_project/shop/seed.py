"""Goods for a first look at the shop."""

from __future__ import annotations

from decimal import Decimal

from shop.catalog.product_table import ProductTable
from shop.catalog.products import Category, Product, TaxClass
from shop.database import Database
from shop.money import Money
from shop.pricing.coupons import Coupon
from shop.stock.warehouse import Warehouse

FOOD = TaxClass.FOOD
PRODUCTS = (
    Product("COF-0001", "Yirgacheffe", Money(12_90), Category.COFFEE, 280, FOOD, "Light roast"),
    Product("COF-0002", "Santos", Money(9_50), Category.COFFEE, 540, FOOD, "Dark roast"),
    Product("TEA-0001", "Sencha", Money(7_20), Category.TEA, 120, FOOD, "Green tea from Uji"),
    Product("TEA-0002", "Assam", Money(5_80), Category.TEA, 270, FOOD, "Strong black tea"),
    Product("BRE-0001", "Hand grinder", Money(64_00), Category.BREWING, 900),
    Product("BRE-0002", "Paper filters", Money(3_40), Category.BREWING, 150),
    Product("CUP-0001", "Espresso cup", Money(8_90), Category.CUPS, 310),
    Product("GIF-0001", "Voucher", Money(25_00), Category.GIFTS, 20, TaxClass.EXEMPT),
)
COUPONS = (
    Coupon("WELCOME", percent_off=Decimal(10), least_total=Money(20_00)),
    Coupon("TEATIME", amount_off=Money(3_00), only_category=Category.TEA),
)
PIECES = 40


def stock_up(database: Database) -> None:
    """Put the goods on the shelves, unless they are there."""
    products, warehouse = ProductTable(database), Warehouse(database)
    if products.listed():
        return
    with database.transaction():
        for product in PRODUCTS:
            products.save(product)
            warehouse.take_delivery(product.sku, PIECES)
