"""The values of the fields of each kind of licence, invented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from showtell.data.documents.labelled import Material
from showtell.data.documents.licences import check_digits
from showtell.data.documents.licences import invented as words
from showtell.data.documents.licences.invented import Inventor
from showtell.data.documents.materials import KIND, LICENCES


def _citizen(inventor: Inventor) -> dict[str, str]:
    born, man = inventor.day(1955, 2003), inventor.number(0, 1)
    start = f"99{inventor.digits(4)}{born:%Y%m%d}{inventor.digits(2)}{2 * inventor.number(0, 4) + man}"
    return {
        "姓名": inventor.person(),
        "性别": "女男"[man],
        "民族": inventor.one(words.PEOPLES),
        "出生": f"{born.year}年{born.month}月{born.day}日",
        "住址": inventor.address(),
        "公民身份号码": start + check_digits.identity_check(start),
    }


def _made(*forms: str) -> Callable[[Inventor], str]:
    return lambda inventor: inventor.registered(inventor.one(forms))


VALUES: Mapping[str, Callable[[Inventor], str]] = {
    **dict.fromkeys(("法定代表人", "主要负责人", "姓名"), Inventor.person),
    **dict.fromkeys(
        (
            "名称",
            "经营者名称",
            "账户名称",
            "纳税人名称",
            "机构名称",
            "业户名称",
            "企业名称",
            "单位名称",
            "注册人",
        ),
        Inventor.company,
    ),
    **dict.fromkeys(
        ("住所", "住址", "地址", "经营场所", "单位地址", "详细地址", "注册地址", "库房地址"), Inventor.address
    ),
    **dict.fromkeys(("成立日期", "发证日期", "注册日期", "核准日期"), Inventor.past),
    **dict.fromkeys(("有效期至", "有效期限至"), Inventor.future),
    **dict.fromkeys(("有效期", "营业期限"), Inventor.term),
    **dict.fromkeys(("登记机关", "发证机关"), Inventor.office),
    "所有人": lambda inventor: inventor.one((inventor.person(), inventor.company())),
    "统一社会信用代码": Inventor.credit_code,
    "类型": partial(Inventor.one, of=words.TYPES),
    "机构类型": partial(Inventor.one, of=("企业法人", "事业法人", "机关法人", "社会团体法人", "企业非法人")),
    "注册资本": Inventor.capital,
    "食品经营许可证/许可证编号": Inventor.food_permit,
    "医疗器械经营许可证/许可证编号": _made(
        "粤穗食药监械经营许Y####号", "浙杭食药监械经营许Y####号", "川食药监械经营许Y####号"
    ),
    "核准号": _made("J99##########-01", "J99############"),
    "开户许可证/编号": _made("99##-########"),
    "安全生产许可证/编号": _made(
        "（粤）JZ安许证字[Y]######", "（川）JZ安许证字[Y]######", "（苏）JZ安许证字[Y]######"
    ),
    "开户银行": lambda inventor: f"{inventor.one(words.BANKS)}{inventor.one(words.ROADS)}支行",
    "账号": Inventor.account,
    "税号": lambda inventor: f"99{inventor.digits(4)}{inventor.organisation(with_dash=False)}",
    "代码": partial(Inventor.organisation, with_dash=True),
    "许可证号": _made("交运管许可穗字99##########号", "交运管许可杭字99##########号"),
    "经营范围": partial(Inventor.some, of=words.SCOPES, least=1, most=3, between="，"),
    "营业执照/经营范围": partial(Inventor.some, of=words.BUSINESS, least=3, most=6, between="；"),
    "证书编号": _made("D299######", "A99########"),
    "资质类别及等级": lambda inventor: inventor.one(words.GRADES) + inventor.one(("壹级", "贰级", "叁级")),
    "注册号": _made("第########号", "########"),
    "核定使用商品": lambda inventor: (
        f"第{inventor.number(1, 45)}类：{inventor.some(words.GOODS, 2, 4, '；')}"
    ),
    "号牌号码": Inventor.plate,
    "车辆类型": partial(Inventor.one, of=words.VEHICLES),
    "经营项目": partial(Inventor.one, of=("预包装食品销售", "热食类食品制售", "散装食品销售")),
    "主体业态": partial(Inventor.one, of=("食品销售经营者", "餐饮服务经营者", "单位食堂")),
    "存款人性质": partial(Inventor.one, of=("基本存款账户", "一般存款账户")),
    "登记注册类型": partial(Inventor.one, of=("私营有限责任公司", "其他有限责任公司", "个体工商户")),
    "经济类型": partial(Inventor.one, of=("有限责任公司", "股份有限公司", "个人独资企业")),
    "经营方式": partial(Inventor.one, of=("批发", "零售", "批零兼营")),
    "许可范围": partial(Inventor.one, of=("建筑施工", "矿山开采", "烟花爆竹生产")),
    "使用性质": partial(Inventor.one, of=("非营运", "货运", "营转非")),
    "车辆识别代号": lambda inventor: f"L{inventor.digits(16, '0123456789ABCDEFGHJKLMNPRSTUVWXYZ')}",
    "登记证号": _made("组代管99####-######"),
    "续展注册有效期": Inventor.term,
}
"""How the values of fields are invented: by kind and field, where a kind has its own, or by field."""


def invented(kind: str, field: str, generator: np.random.Generator) -> str:
    """A value for a field of a kind of licence, or for what else is printed on it."""
    make = VALUES.get(f"{kind}/{field}") or VALUES[field]
    return make(Inventor(generator))


def invented_licence(kind: str, generator: np.random.Generator) -> Material:
    """A licence of a kind, with all of its fields."""
    if kind == "居民身份证":
        return {KIND: kind, **_citizen(Inventor(generator))}
    return {KIND: kind, **{field: invented(kind, field, generator) for field in LICENCES[kind]}}
