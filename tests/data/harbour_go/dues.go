package harbour

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// DuesPerTonne is what a ship pays for each tonne, in cents.
const DuesPerTonne = 12

// Invoice is what a ship has to pay.
type Invoice struct {
	Ship     string `json:"ship"`
	Cents    int    `json:"cents"`
	Discount int    `json:"discount,omitempty"`
}

// Discounts maps the names of lines to what they are let off, in percent.
type Discounts map[string]int

// InvoiceFor returns the invoice of a ship that stays some days.
func InvoiceFor(ship Ship, days int, discounts Discounts) Invoice {
	percent := discounts[ship.Name]
	cents := ship.Tonnes * DuesPerTonne * days
	reduced := float64(cents) * (1 - float64(percent)/100)
	return Invoice{Ship: ship.Name, Cents: int(math.Round(reduced)), Discount: percent}
}

// WriteInvoices writes invoices as JSON, one on each line.
func WriteInvoices(writer io.Writer, invoices []Invoice) error {
	encoder := json.NewEncoder(writer)
	for number, invoice := range invoices {
		if err := encoder.Encode(invoice); err != nil {
			return fmt.Errorf("invoice %d of %d: %w", number+1, len(invoices), err)
		}
	}
	return nil
}

// Total returns the sum of invoices in cents.
func Total(invoices []Invoice) (total int) {
	for _, invoice := range invoices {
		total += invoice.Cents
	}
	return total
}

// ReadInvoices reads what WriteInvoices wrote.
func ReadInvoices(reader io.Reader) ([]Invoice, error) {
	var invoices []Invoice
	decoder := json.NewDecoder(reader)
	for decoder.More() {
		var invoice Invoice
		if err := decoder.Decode(&invoice); err != nil {
			return nil, fmt.Errorf("invoice %d: %w", len(invoices)+1, err)
		}
		invoices = append(invoices, invoice)
	}
	return invoices, nil
}
