"""What is printed on each kind of licence beside its fields' values, and the templates that follow.

A template of a kind is one layout with one wording, order of fields and size. Each kind has a layout that
only its held-out templates have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from showtell.data.documents.materials import LICENCES

LAYOUTS = ("columns", "inline", "stacked", "pairs", "table")
"""The functions of `layouts.py`."""
TEMPLATES, HELD_OUT = 18, 2
"""Of each kind, to train on, and held out."""


@dataclass(frozen=True)
class Form:
    """The fixed texts of a kind of licence."""

    titles: tuple[str, ...] = ()
    """What is printed as its title instead of the kind's name; "" for none."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """How fields are called in print, where not by their names."""
    more: tuple[str, ...] = ()
    """What else is printed with a value: no field of the kind."""
    notes: tuple[str, ...] = ()
    """Sentences, of which some are printed."""


FORMS: Mapping[str, Form] = {
    "营业执照": Form(
        labels={"名称": ("名称", "企业名称"), "类型": ("类型", "公司类型"), "住所": ("住所", "经营场所")},
        more=("经营范围", "营业期限", "登记机关"),
        notes=(
            "国家企业信用信息公示系统网址：http://www.gsxt.gov.cn",
            "应当于每年1月1日至6月30日报送年度报告",
            "副本",
        ),
    ),
    "居民身份证": Form(titles=("", "", "中华人民共和国居民身份证")),
    "食品经营许可证": Form(
        labels={"法定代表人": ("法定代表人", "法定代表人（负责人）"), "许可证编号": ("许可证编号", "编号")},
        more=("经营项目", "主体业态", "发证机关"),
        notes=(
            "日常监督管理机构：市场监督管理所",
            "请在经营场所的显著位置悬挂或者摆放",
            "投诉举报电话：12331",
        ),
    ),
    "开户许可证": Form(
        labels={"账户名称": ("账户名称", "存款人名称")},
        more=("法定代表人", "存款人性质"),
        notes=("经审核，符合开户条件，准予开立账户。", "中国人民银行制"),
    ),
    "税务登记证": Form(
        labels={"纳税人名称": ("纳税人名称", "纳税人"), "法定代表人": ("法定代表人", "法定代表人（负责人）")},
        more=("登记注册类型", "经营范围"),
        notes=("扣缴义务：依法确定", "国家税务总局监制", "批准设立机关：工商行政管理局"),
    ),
    "组织机构代码证": Form(
        labels={"机构名称": ("机构名称", "名称"), "机构类型": ("机构类型", "类型")},
        more=("登记证号", "发证机关"),
        notes=("中华人民共和国国家质量监督检验检疫总局签章", "说明：代码证是组织机构法定代码标识的凭证"),
    ),
    "道路运输经营许可证": Form(
        labels={"许可证号": ("许可证号", "证号"), "业户名称": ("业户名称", "经营业户")},
        more=("经济类型", "发证机关"),
        notes=("中华人民共和国交通运输部监制", "本证不得涂改、转让"),
    ),
    "医疗器械经营许可证": Form(
        labels={"有效期限至": ("有效期限至", "有效期限"), "企业名称": ("企业名称",)},
        more=("主要负责人", "经营方式", "库房地址"),
        notes=("国家食品药品监督管理总局制", "医疗器械经营质量管理规范"),
    ),
    "安全生产许可证": Form(
        labels={"主要负责人": ("主要负责人", "负责人"), "编号": ("编号", "证号")},
        more=("许可范围", "经济类型", "发证机关"),
        notes=("国家安全生产监督管理总局监制", "未取得许可证的，不得从事生产活动"),
    ),
    "建筑业企业资质证书": Form(
        labels={"资质类别及等级": ("资质类别及等级", "资质等级"), "有效期": ("有效期", "有效期限")},
        more=("统一社会信用代码", "法定代表人", "注册资本"),
        notes=("中华人民共和国住房和城乡建设部制", "全国建筑市场监管公共服务平台查询网址"),
    ),
    "商标注册证": Form(
        labels={
            "核定使用商品": ("核定使用商品", "核定使用商品/服务项目"),
            "注册号": ("注册号", "商标注册号"),
        },
        more=("续展注册有效期",),
        notes=("国家知识产权局局长签发", "核准续展注册的，另发证明"),
    ),
    "机动车行驶证": Form(
        titles=("中华人民共和国机动车行驶证", "中华人民共和国机动车行驶证", "机动车行驶证"),
        more=("使用性质", "车辆识别代号", "发证日期"),
        notes=("检验有效期内有效", "公安局交通警察支队"),
    ),
}


@dataclass(frozen=True)
class Template:
    """How licences of one kind are printed, all but the values."""

    layout: str
    title: str
    labels: tuple[tuple[str, str], ...]
    """What is printed, in this order, and what it is called there; some is no field of the kind."""
    notes: tuple[str, ...]
    size: int
    """Of the letters, in pixels."""
    wide: int
    """Of the sheet, in letters."""
    spaced: bool
    """Whether short labels and the title are spaced out."""
    colon: bool
    tint: tuple[int, int, int]
    """Of the paper."""


def template(kind: str, number: int) -> Template:
    """A template of a kind: those from number `TEMPLATES` on are held out, with a layout of their own.

    >>> [template("税务登记证", number).layout for number in (0, 1, 2, 3, 18, 19)]
    ['columns', 'inline', 'stacked', 'pairs', 'table', 'table']
    """
    if not 0 <= number < TEMPLATES + HELD_OUT:
        raise ValueError(f"{kind} has no template {number}")
    place, form = list(LICENCES).index(kind), FORMS[kind]
    generator = np.random.default_rng([place, number])
    own = place % len(LAYOUTS)
    other = [layout for layout in LAYOUTS if layout != LAYOUTS[own]]
    names = [*LICENCES[kind]]
    if generator.random() < 0.6:  # else in their official order
        generator.shuffle(names)
    names += [name for name in form.more if generator.random() < 0.7]
    choice = {name: form.labels.get(name, (name,)) for name in names}
    titles = form.titles or (kind,)
    return Template(
        layout=LAYOUTS[own] if number >= TEMPLATES else other[number % len(other)],
        title=titles[number % len(titles)],
        labels=tuple((name, some[int(generator.integers(len(some)))]) for name, some in choice.items()),
        notes=tuple(note for note in form.notes if generator.random() < 0.5),
        size=int(generator.integers(22, 29)),
        wide=int(generator.integers(28, 36)),
        spaced=bool(generator.random() < 0.4),
        colon=bool(generator.random() < 0.5),
        tint=tuple(generator.integers(228, 256, 3).tolist()),
    )
