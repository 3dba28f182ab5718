"""The kinds of written material that are told apart by default, with the fields of each, and their schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

KIND = "文字材料类别"
"""The key of a document that says what kind of material it is; it is always there."""
OTHER = "其他"
"""The kind of what is none of the others."""
RECEIPT = "receipt"
LICENCES = {
    "营业执照": ("统一社会信用代码", "名称", "类型", "法定代表人", "注册资本", "成立日期", "住所"),
    "居民身份证": ("姓名", "性别", "民族", "出生", "住址", "公民身份号码"),
    "食品经营许可证": ("经营者名称", "许可证编号", "法定代表人", "经营场所", "有效期至"),
    "开户许可证": ("核准号", "编号", "账户名称", "开户银行", "账号"),
    "税务登记证": ("税号", "纳税人名称", "法定代表人", "地址", "发证日期"),
    "组织机构代码证": ("代码", "机构名称", "机构类型", "地址", "有效期"),
    "道路运输经营许可证": ("许可证号", "业户名称", "地址", "经营范围", "有效期至"),
    "医疗器械经营许可证": ("许可证编号", "企业名称", "法定代表人", "经营场所", "有效期限至"),
    "安全生产许可证": ("编号", "单位名称", "主要负责人", "单位地址", "有效期"),
    "建筑业企业资质证书": ("证书编号", "企业名称", "资质类别及等级", "详细地址", "有效期"),
    "商标注册证": ("注册号", "注册人", "核定使用商品", "注册地址", "注册日期"),
    "机动车行驶证": ("号牌号码", "车辆类型", "所有人", "住址", "注册日期"),
}
"""Licences and certificates of Chinese firms and persons."""
MATERIALS = {RECEIPT: ("company", "date", "address", "total"), **LICENCES}
LONGEST_FIELD = 200
"""Characters."""


def schema_of(kinds: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The schema of a list of materials of some kinds, of each the fields that were found, in this order."""
    return {"type": "array", "items": {"anyOf": [_material(kind, fields) for kind, fields in kinds.items()]}}


def _material(kind: str, fields: Sequence[str]) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": LONGEST_FIELD}
    return {
        "type": "object",
        "properties": {KIND: {"const": kind}, **dict.fromkeys(fields, text)},
        "required": [KIND],
        "additionalProperties": False,
    }


DEFAULT_SCHEMA = schema_of({**MATERIALS, OTHER: ()})
"""The materials in an image, of all kinds that are told apart by default."""
