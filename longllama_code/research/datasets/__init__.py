"""Source trees and published packages as rows of tokens."""
