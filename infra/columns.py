"""Columns that many tables have. Every moment is the database's own, in UTC."""

from typing import Any

from sqlalchemy import Column, DateTime, Text, func, text


def moment(name: str, nullable: bool = True) -> Column[Any]:
    """When something was or will be; null as long as it is not."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def stamped(name: str = "created_at") -> Column[Any]:
    """When a row was made, or whatever else is now unless somebody says otherwise."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def tenant_column() -> Column[str]:
    """Whose a row is: the tenant in whose name the transaction acts that makes it, or nobody's but the operators'."""
    default = text("coalesce(current_setting('reelmill.tenant', true), '')")
    return Column("tenant", Text, nullable=False, server_default=default)
