"""Columns that many tables have. Every moment is the database's own, in UTC."""

from typing import Any

from sqlalchemy import Column, DateTime, func


def moment(name: str, nullable: bool = True) -> Column[Any]:
    """When something was or will be; null as long as it is not."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def stamped(name: str = "created_at") -> Column[Any]:
    """When a row was made, or whatever else is now unless somebody says otherwise."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())
