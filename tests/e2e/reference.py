"""What Penstock must show for given source rows: a second, independent implementation of the
peoplesoft mapping, written from docs and facts and not from the C code, so that tests can compare
the store with the simulator's truth.

    expected(entity, rows, connection_id, zone) -> {source_id: record}

`rows` are the simulator's full rows (dicts by column). Records hold the unified fields without the
envelope's moving parts (seq, synced_at, deleted_at) and without null members, see without_nulls().
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

KEYS = {
    "suppliers": ["A.SETID", "A.VENDOR_ID"],
    "items": ["A.SETID", "A.INV_ITEM_ID"],
    "purchase_orders": ["A.BUSINESS_UNIT", "A.PO_ID"],
    "work_orders": ["A.BUSINESS_UNIT", "A.WO_ID"],
}
QUERIES = {
    "suppliers": "PST_SUPPLIERS",
    "items": "PST_ITEMS",
    "purchase_orders": "PST_PURCHASE_ORDERS",
    "work_orders": "PST_WORK_ORDERS",
}
STAMPS = {
    "suppliers": "A.LAST_MODIFIED_DATE",
    "items": "A.LAST_DTTM_UPDATE",
    "purchase_orders": "A.LAST_DTTM_UPDATE",
    "work_orders": "A.LAST_DTTM_UPDATE",
}

SUPPLIER_STATUS = {"A": "approved", "D": "denied", "E": "unapproved", "I": "inactive", "X": "archived"}
SUPPLIER_CLASS = {"R": "supplier", "E": "employee", "A": "attorney", "H": "hcm", "O": "outside_party"}
PERSISTENCE = {"R": "regular", "P": "permanent", "S": "single_payment", "O": "one_time"}
DISPATCH = {"EDX": "electronic", "EML": "email", "FAX": "fax", "PHN": "phone", "PRN": "print"}
ITEM_STATUS = {"1": "active", "2": "on_hold", "3": "discontinued", "4": "inactive", "5": "pending_approval"}
ORDER_STATUS = {"I": "draft", "O": "draft", "PA": "pending_approval", "A": "approved", "D": "dispatched",
                "C": "closed", "DA": "denied", "LD": "denied", "X": "cancelled", "PX": "cancelled"}
LINE_STATUS = {"A": "open", "C": "closed", "X": "cancelled", "PX": "pending_cancel", "H": "on_hold", "D": "denied"}
WORK_STATUS = {"O": "open", "W": "in_progress", "C": "completed", "F": "closed", "X": "cancelled"}


def part(text: str) -> str:
    """One key part of a source_id."""
    return text.replace("%", "%25").replace("|", "%7C")


def source_id(row: dict, columns: list[str]) -> str:
    return "|".join(part(str(row.get(c) or "")) for c in columns)


def record_id(connection_id: str, entity: str, source: str) -> str:
    h = hashlib.blake2b(digest_size=16)
    for piece in (connection_id, entity, source):
        raw = piece.encode()
        h.update(len(raw).to_bytes(8, "little") + raw)
    value = int.from_bytes(h.digest(), "big")
    return "rec_" + "".join(ALPHABET[value >> (5 * i) & 31] for i in range(25, -1, -1))


def text(row: dict, column: str):
    value = row.get(column)
    if value is None or (isinstance(value, str) and value.strip() == ""):
        return None
    return value if isinstance(value, str) else str(value)


def flag(row: dict, column: str):
    return {"Y": True, "N": False}.get(text(row, column))


def moment(value: str, zone: str) -> datetime | None:
    """A zoneless PeopleSoft time to UTC: repeated hour = first instant, missing hour = shifted."""
    if not value:
        return None
    local = datetime.strptime(value if len(value) > 10 else value + "-00.00.00.000000", "%Y-%m-%d-%H.%M.%S.%f")
    tz = ZoneInfo(zone)
    before = local.replace(tzinfo=tz, fold=0)
    utc = before.astimezone(timezone.utc)
    if utc.astimezone(tz).replace(tzinfo=None) != local:  # the missing hour: by the offset before it
        utc = (local - tz.utcoffset((local - timedelta(hours=3)).replace(tzinfo=tz))).replace(tzinfo=timezone.utc)
    return utc


def stamp_text(when: datetime | None) -> str | None:
    if when is None:
        return None
    out = when.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    if when.microsecond:
        out += ("." + f"{when.microsecond:06d}").rstrip("0")
    return out + "Z"


def when(row: dict, column: str, zone: str):
    return stamp_text(moment(text(row, column) or "", zone))


def total(rows: list[dict], column: str):
    values = [text(r, column) for r in rows]
    values = [Decimal(v) for v in values if v is not None]
    return format(sum(values[1:], values[0]), "f") if values else None


def coded(row: dict, column: str, table: dict):
    value = text(row, column)
    return (table.get(value) if value is not None else None), value


def reference(connection_id: str, entity: str, row: dict, columns: list[str]):
    if any(text(row, c) is None for c in columns):
        return None
    return record_id(connection_id, entity, source_id(row, columns))


def supplier(rows, conn, zone):
    r = rows[0]
    status, source_status = coded(r, "A.VENDOR_STATUS", SUPPLIER_STATUS)
    category, source_category = coded(r, "A.VENDOR_CLASS", SUPPLIER_CLASS)
    persistence, source_persistence = coded(r, "A.VENDOR_PERSISTENCE", PERSISTENCE)
    dispatch, source_dispatch = coded(r, "B.DISP_METHOD", DISPATCH)
    return {
        "display_name": text(r, "A.NAME1") or text(r, "A.VENDOR_NAME_SHORT") or text(r, "A.VENDOR_ID"),
        "number": text(r, "A.VENDOR_ID"), "set_id": text(r, "A.SETID"), "name": text(r, "A.NAME1"),
        "name2": text(r, "A.NAME2"), "short_name": text(r, "A.VENDOR_NAME_SHORT"),
        "status": status, "source_status": source_status,
        "category": category, "source_category": source_category,
        "persistence": persistence, "source_persistence": source_persistence,
        "open_for_ordering": flag(r, "A.VNDR_STATUS_PO"),
        "parent_supplier_id": reference(conn, "suppliers", r, ["A.CORPORATE_SETID", "A.CORPORATE_VENDOR"]),
        "tax_id": text(r, "A.VNDR_TIN"), "payment_terms": text(r, "B.PYMNT_TERMS_CD"),
        "currency": text(r, "B.CURRENCY_CD"), "buyer": text(r, "B.BUYER_ID"),
        "dispatch_method": dispatch, "source_dispatch_method": source_dispatch,
        "address_line1": text(r, "C.ADDRESS1"), "address_line2": text(r, "C.ADDRESS2"),
        "city": text(r, "C.CITY"), "state": text(r, "C.STATE"), "postal_code": text(r, "C.POSTAL"),
        "country": text(r, "C.COUNTRY"), "email": text(r, "C.EMAILID"), "phone": text(r, "D.PHONE"),
        "last_activity_date": text(r, "A.LAST_ACTIVITY_DT"),
    }


def item(rows, conn, zone):
    r = rows[0]
    status, source_status = coded(r, "A.ITM_STATUS_CURRENT", ITEM_STATUS)
    future, source_future = coded(r, "A.ITM_STATUS_FUTURE", ITEM_STATUS)
    return {
        "display_name": text(r, "A.DESCR") or text(r, "A.INV_ITEM_ID"),
        "number": text(r, "A.INV_ITEM_ID"), "set_id": text(r, "A.SETID"), "name": text(r, "A.DESCR"),
        "description": text(r, "B.DESCR254") or text(r, "A.DESCR60") or text(r, "A.DESCR"),
        "status": status, "source_status": source_status, "status_date": text(r, "A.ITM_STATUS_EFFDT"),
        "future_status": future, "source_future_status": source_future,
        "future_status_date": text(r, "A.ITM_STAT_DT_FUTURE"),
        "unit": text(r, "A.UNIT_MEASURE_STD"), "group": text(r, "A.INV_ITEM_GROUP"),
        "category": text(r, "A.CATEGORY_ID"), "type": text(r, "B.INV_ITEM_TYPE"),
        "is_stocked": flag(r, "A.INVENTORY_ITEM"), "is_lot_controlled": flag(r, "A.LOT_CONTROL"),
        "is_serial_controlled": flag(r, "A.SERIAL_CONTROL"), "weight": total([r], "B.INV_ITEM_WEIGHT"),
        "weight_unit": text(r, "B.UNIT_MEASURE_WT"), "service_price": total([r], "B.SERVICE_PRICE"),
    }


def groups(rows, column):
    out: dict[str, list[dict]] = {}
    for r in rows:
        key = text(r, column)
        if key is not None:
            out.setdefault(key, []).append(r)
    return out.values()


def schedule(rows):
    r = rows[0]
    status, source_status = coded(r, "C.CANCEL_STATUS", LINE_STATUS)
    return {
        "number": int(text(r, "C.SCHED_NBR")), "due_date": text(r, "C.DUE_DT"), "ship_to": text(r, "C.SHIPTO_ID"),
        "quantity": total([r], "C.QTY_PO"), "unit_price": total([r], "C.PRICE_PO"),
        "amount": total([r], "C.MERCHANDISE_AMT"), "received_quantity": total([r], "D.QTY_RECEIVED"),
        "account": text(r, "D.ACCOUNT"), "status": status, "source_status": source_status,
    }


def order_line(rows, conn):
    r = rows[0]
    status, source_status = coded(r, "B.CANCEL_STATUS", LINE_STATUS)
    due = [d for d in (text(x, "C.DUE_DT") for x in rows) if d]
    return {
        "number": int(text(r, "B.LINE_NBR")),
        "item_id": reference(conn, "items", r, ["B.ITM_SETID", "B.INV_ITEM_ID"]),
        "item_number": text(r, "B.INV_ITEM_ID"), "description": text(r, "B.DESCR254_MIXED"),
        "quantity": total(rows, "C.QTY_PO"), "unit": text(r, "B.UNIT_OF_MEASURE"),
        "unit_price": total([r], "C.PRICE_PO"), "amount": total(rows, "C.MERCHANDISE_AMT"),
        "due_date": min(due) if due else None, "received_quantity": total(rows, "D.QTY_RECEIVED"),
        "status": status, "source_status": source_status, "ship_to": text(r, "C.SHIPTO_ID"),
        "account": text(r, "D.ACCOUNT"), "schedules": [schedule(g) for g in groups(rows, "C.SCHED_NBR")],
    }


def purchase_order(rows, conn, zone):
    r = rows[0]
    status, source_status = coded(r, "A.PO_STATUS", ORDER_STATUS)
    if text(r, "A.PO_STATUS") in ("A", "D"):
        status = {"P": "partially_received", "R": "received"}.get(text(r, "A.RECV_STATUS"), status)
    return {
        "display_name": "PO " + text(r, "A.PO_ID"), "number": text(r, "A.PO_ID"),
        "business_unit": text(r, "A.BUSINESS_UNIT"), "status": status, "source_status": source_status,
        "supplier_id": reference(conn, "suppliers", r, ["A.VENDOR_SETID", "A.VENDOR_ID"]),
        "supplier_number": text(r, "A.VENDOR_ID"), "buyer": text(r, "A.BUYER_ID"),
        "order_date": text(r, "A.PO_DT"), "currency": text(r, "A.CURRENCY_CD"),
        "total_amount": total(rows, "C.MERCHANDISE_AMT"), "payment_terms": text(r, "A.PYMNT_TERMS_CD"),
        "bill_to": text(r, "A.BILL_LOCATION"), "ship_to": text(r, "C.SHIPTO_ID"),
        "approved_at": when(r, "A.APPROVAL_DT", zone),
        "lines": [order_line(g, conn) for g in groups(rows, "B.LINE_NBR")],
    }


def task(rows, conn, zone):
    r = rows[0]
    status, _ = coded(r, "B.INTERNAL_STATUS", WORK_STATUS)
    percent = text(r, "B.PERCENT_COMPLETE")
    return {
        "number": int(text(r, "B.WO_TASK_ID")), "name": text(r, "B.DESCR"),
        "status": status, "source_status": text(r, "B.TASK_STATUS"),
        "asset_id": reference(conn, "assets", r, ["B.BUSINESS_UNIT_AM", "B.ASSET_ID"]),
        "asset_number": text(r, "B.ASSET_ID"), "location": text(r, "B.LOCATION"), "crew": text(r, "B.CREW_ID"),
        "lead": text(r, "B.LEAD_EMPLID"), "scheduled_start_at": when(r, "B.SCHED_START_DTTM", zone),
        "scheduled_end_at": when(r, "B.SCHED_END_DTTM", zone), "actual_start_at": when(r, "B.ACTUAL_START_DTTM", zone),
        "actual_end_at": when(r, "B.ACTUAL_END_DTTM", zone),
        "percent_complete": None if percent is None else int(percent),
        "problem_code": text(r, "B.PROBLEM_CD"), "resolution_code": text(r, "B.RESOLUTION_CD"),
    }


def work_order(rows, conn, zone):
    r = rows[0]
    status, _ = coded(r, "A.INTERNAL_STATUS", WORK_STATUS)
    return {
        "display_name": text(r, "A.DESCR") or text(r, "A.WO_ID"), "number": text(r, "A.WO_ID"),
        "business_unit": text(r, "A.BUSINESS_UNIT"), "type": text(r, "A.WO_TYPE"), "name": text(r, "A.DESCR"),
        "description": text(r, "A.DESCRLONG") or text(r, "A.DESCR"), "priority": text(r, "A.PRIORITY_CD"),
        "status": status, "source_status": text(r, "A.WO_STATUS"),
        "required_start_date": text(r, "A.REQ_START_DT"), "required_end_date": text(r, "A.REQ_END_DT"),
        "scheduled_start_at": when(r, "A.SCHED_START_DTTM", zone), "scheduled_end_at": when(r, "A.SCHED_END_DTTM", zone),
        "actual_start_at": when(r, "A.ACTUAL_START_DTTM", zone), "actual_end_at": when(r, "A.ACTUAL_END_DTTM", zone),
        "shop": text(r, "A.SHOP_ID"), "project": text(r, "A.PROJECT_ID"), "service_request": text(r, "A.SERV_REQ_ID"),
        "tasks": [task(g, conn, zone) for g in groups(rows, "B.WO_TASK_ID")],
    }


BUILDERS = {"suppliers": supplier, "items": item, "purchase_orders": purchase_order, "work_orders": work_order}

# Envelope members and others that the source rows alone do not determine.
MOVING = {"id", "source_id", "created_at", "updated_at", "synced_at", "deleted_at", "seq", "custom_fields", "source",
          "supplier_name", "item_name"}


def without_nulls(value):
    """null members dropped at every depth: absent and null mean the same."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(v) for v in value]
    return value


def shown(record: dict) -> dict:
    """A record of the API, reduced to what expected() says of it."""
    return without_nulls({k: v for k, v in record.items() if k not in MOVING})


def expected(entity: str, rows, connection_id: str, zone: str = "UTC") -> dict[str, dict]:
    documents: dict[str, list[dict]] = {}
    for row in rows:
        documents.setdefault(source_id(row, KEYS[entity]), []).append(row)
    return {sid: without_nulls(BUILDERS[entity](rows, connection_id, zone)) for sid, rows in documents.items()}


def differences(have: dict[str, dict], want: dict[str, dict], most: int = 10) -> list[str]:
    """Readable lines, empty when the two are equal."""
    out = [f"missing: {sid}" for sid in want.keys() - have.keys()]
    out += [f"not in the source: {sid}" for sid in have.keys() - want.keys()]
    for sid in want.keys() & have.keys():
        if have[sid] != want[sid]:
            fields = [k for k in want[sid].keys() | have[sid].keys() if want[sid].get(k) != have[sid].get(k)]
            out.append(f"{sid}: " + "; ".join(f"{k}: {have[sid].get(k)!r} instead of {want[sid].get(k)!r}" for k in fields)[:400])
    return sorted(out)[:most]
