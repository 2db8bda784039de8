"""HTML reports and level plots."""
