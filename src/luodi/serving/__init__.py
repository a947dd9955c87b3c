"""What answers with registered versions, and the record of what it was asked."""
