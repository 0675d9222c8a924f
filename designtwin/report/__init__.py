"""The report: one HTML file that says what was asked, what came out, and on what it stands."""

from designtwin.report.page import Section, Table, write_report

__all__ = ["Section", "Table", "write_report"]
