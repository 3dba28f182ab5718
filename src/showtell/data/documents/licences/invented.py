"""What invented Chinese licences say: no one's names, and numbers that keep their check digits.

Numbers name the region 99, which no province has, so that none of them is anyone's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from showtell.data.documents.licences import check_digits


def _texts(listed: str) -> list[str]:
    return listed.split()


SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰建国文斌志鹏海燕晓东雪梅子涵梓轩宇航欣怡佳"
CITIES = _texts(
    "广东省广州市天河区 广东省深圳市南山区 浙江省杭州市西湖区 江苏省南京市鼓楼区 四川省成都市武侯区 "
    "湖北省武汉市洪山区 山东省青岛市市南区 福建省厦门市思明区 陕西省西安市雁塔区 河南省郑州市金水区 "
    "湖南省长沙市岳麓区 辽宁省大连市中山区 北京市海淀区 上海市浦东新区 天津市和平区 重庆市渝北区"
)
ROADS = _texts("人民路 中山路 解放路 建设路 和平路 新华街 文化路 滨江大道 科技园路 长江路 学府街 工业大道")
BUILDINGS = ["创业大厦", "金茂大厦", "时代广场", "软件园", "商务中心", "国际大厦"]
WORDS = _texts(
    "恒信 华泰 金源 鼎盛 瑞丰 宏远 天成 博雅 智联 安康 万通 嘉禾 东方 星辰 德胜 云帆 远航 明德 百川 永兴"
)
TRADES = _texts("科技 贸易 食品 餐饮管理 建筑工程 医疗器械 物流运输 信息技术 装饰工程 商贸 电子 农业发展")
FIRMS = ["有限公司", "有限责任公司", "股份有限公司"]
TYPES = _texts(
    "有限责任公司（自然人独资） 有限责任公司（自然人投资或控股） 有限责任公司 股份有限公司（非上市） "
    "个人独资企业 有限责任公司（法人独资）"
)
PEOPLES = ["汉", "汉", "汉", "汉", "满", "回", "壮", "苗", "蒙古", "维吾尔", "土家", "彝"]
BANKS = ["中国工商银行", "中国建设银行", "中国农业银行", "中国银行", "招商银行", "交通银行"]
SCOPES = _texts(
    "道路普通货物运输 道路旅客运输 危险货物运输（2类1项） 货物专用运输（集装箱） "
    "道路货物专用运输（冷藏保鲜） 大型物件运输（一类）"
)
GRADES = _texts(
    "建筑工程施工总承包 市政公用工程施工总承包 机电工程施工总承包 钢结构工程专业承包 防水防腐保温工程专业承包"
)
GOODS = _texts("茶 咖啡 面包 服装 鞋 帽 手机 计算机 家具 玩具 化妆品 肥皂 果汁 啤酒 自行车 灯")
VEHICLES = ["小型轿车", "小型普通客车", "重型半挂牵引车", "轻型厢式货车", "中型普通客车", "普通二轮摩托车"]
PLATES = "京沪粤浙苏川鄂鲁闽陕豫湘辽津渝"
OFFICES = _texts(
    "市场监督管理局 工商行政管理局 食品药品监督管理局 交通运输局 住房和城乡建设厅 应急管理厅 公安局"
)
BUSINESS = _texts(
    "技术开发 技术服务 货物进出口 食品销售 餐饮服务 建筑材料销售 软件开发 会议服务 日用百货销售 企业管理咨询"
)


class Inventor:
    """Draws values, all from one generator."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator

    def one(self, of: Sequence[str]) -> str:
        """One of some texts, each as likely."""
        return of[int(self.generator.integers(len(of)))]

    def some(self, of: Sequence[str], least: int, most: int, between: str) -> str:
        """Several of some texts, no two alike."""
        count = int(self.generator.integers(least, most + 1))
        return between.join(of[i] for i in self.generator.choice(len(of), count, replace=False))

    def number(self, least: int, most: int) -> int:
        """An integer, `most` included."""
        return int(self.generator.integers(least, most + 1))

    def digits(self, count: int, of: str = "0123456789") -> str:
        """Digits, or other characters."""
        return "".join(self.one(of) for _ in range(count))

    def person(self) -> str:
        """A name of two or three characters."""
        return self.one(SURNAMES) + self.digits(self.number(1, 2), GIVEN)

    def company(self) -> str:
        """A firm's name."""
        city = self.one(CITIES).partition("市")[0].rpartition("省")[2]
        return f"{city}{'市' * self.number(0, 1)}{self.one(WORDS)}{self.one(TRADES)}{self.one(FIRMS)}"

    def address(self) -> str:
        """A street and a number, perhaps a room."""
        street = f"{self.one(CITIES)}{self.one(ROADS)}{self.number(1, 999)}号"
        rooms = (
            "",
            f"{self.number(1, 30)}栋{self.number(101, 2905)}室",
            f"{self.one(BUILDINGS)}{self.number(2, 33)}层",
        )
        return street + self.one(rooms)

    def office(self) -> str:
        """Who issues a licence."""
        return self.one(CITIES).partition("市")[0].rpartition("省")[2] + "市" + self.one(OFFICES)

    def day(self, first: int = 2004, last: int = 2022) -> date:
        """A day of some years."""
        return date(first, 1, 1) + timedelta(self.number(0, 365 * (last - first + 1) - 1))

    def dated(self, day: date) -> str:
        """A day as licences print it."""
        long = f"{day.year}年{day.month:02}月{day.day:02}日", f"{day.year}年{day.month}月{day.day}日"
        return self.one((*long, *long, day.isoformat()))

    def past(self) -> str:
        """A day that is over."""
        return self.dated(self.day())

    def future(self) -> str:
        """A day to come, or no end."""
        return "长期" if self.generator.random() < 0.1 else self.dated(self.day(2027, 2036))

    def term(self) -> str:
        """From one day to another."""
        return f"{self.past()}至{self.future()}"

    def capital(self) -> str:
        """An amount of money, in words or in digits."""
        words = [
            "壹佰万元整",
            "伍佰万元整",
            "壹仟万元整",
            "贰仟万元整",
            "伍拾万元整",
            "叁佰万元整",
            "捌佰万元人民币",
        ]
        return self.one((*words, f"{self.number(10, 9000)}万元人民币", f"人民币{self.number(10, 900)}万元"))

    def organisation(self, with_dash: bool) -> str:
        """An organisation's code."""
        start = self.digits(8)
        return start + "-" * with_dash + check_digits.organisation_check(start)

    def credit_code(self) -> str:
        """A unified social credit code of a firm."""
        start = f"9199{self.digits(4)}{self.organisation(with_dash=False)}"
        return start + check_digits.credit_check(start)

    def plate(self) -> str:
        """A vehicle's plate."""
        return self.one(PLATES) + self.digits(1, "ABCDEFGH") + self.digits(5, "0123456789ABCDEFGHJKLMNPQR")

    def food_permit(self) -> str:
        """A food permit's number."""
        start = f"{self.number(1, 3)}99{self.digits(10)}"
        return f"JY{start}{check_digits.permit_check(start)}"

    def account(self) -> str:
        """A bank account's number."""
        start = self.digits(1, "4689") + self.digits(17)
        return start + check_digits.account_check(start)

    def registered(self, form: str) -> str:
        """A number: `#` is a digit, `Y` a year."""
        year = str(self.number(2010, 2022))
        return "".join(self.digits(1) if char == "#" else year if char == "Y" else char for char in form)
